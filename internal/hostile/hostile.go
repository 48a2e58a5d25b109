// Package hostile has texts that people, runs and files may contain to become more than text where they are shown. Tests run
// them through every output: page, attribute, script, JSON, CSV, header, terminal, log.
package hostile

import "strings"

// Injected is the name of the attribute, element and cookie that the texts try to bring into being.
const Injected = "x-injected"

// Texts are valid UTF-8, in one line or more. Each tries one thing.
func Texts() []string {
	return []string{
		`<script>alert("x-injected")</script>`,
		`<img src=x onerror=alert(1) x-injected>`,
		`"><x-injected>`,
		`' x-injected='`,
		`" x-injected="" onmouseover="alert(1)`,
		"` x-injected=`",
		`--><x-injected><!--`,
		`]]><x-injected>`,
		`</title><x-injected>`, `</textarea><x-injected>`, `</script><x-injected>`, `</style><x-injected>`,
		`{{.}}${7*7}#{7*7}<%= 7*7 %>`,
		`javascript:alert(1)//x-injected`,
		`&lt;x-injected&gt; &#60;x-injected&#62; \u003cx-injected\u003e`,
		`\"};x-injected();//`,
		" \u2028\u2029x-injected();",
		`=HYPERLINK("https://evil.example","x")`, `+1+cmd|' /C calc'!A0`, `-2+3`, `@SUM(1)`, "\t=1+1", "|=1",
		"a\r\nSet-Cookie: x-injected=1\r\n\r\n<x-injected>",
		"a\nlevel=error msg=x-injected",
		"\x1b[2J\x1b[31mred\x1b]0;x-injected\x07\x1b]52;c;eA==\x07", "\u009b31mred", "\x1b]8;;https://evil.example\x1b\\link\x1b]8;;\x1b\\",
		"gnp.\u202egpj\u202c", "\u2066a\u2069\u200e\u200f\u061c", "a\u200bb\ufeff", "\u0000a\x08\x7f",
		"pаypal", // with a Cyrillic letter
		"../../etc/passwd", `..\..\x`, "a/../../b", "%2e%2e%2f", "con", "a;b,c",
		`'; DROP TABLE runs; --`, `" OR 1=1 --`, "%_*?[a]\\",
		"Z̸̡̢a̵l̴g̶o̷", strings.Repeat("w", 3000), "👩‍👩‍👧", "  ",
	}
}

// Lines are the texts that a single line may have: without line breaks and NUL.
func Lines() []string {
	var out []string
	for _, text := range Texts() {
		if !strings.ContainsAny(text, "\r\n\x00") {
			out = append(out, text)
		}
	}
	return out
}
