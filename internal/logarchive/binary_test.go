package logarchive_test

import (
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/logarchive"
)

func TestALineThatIsNoTextIsToldByItsBytes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain": "", "\x1b[31mred\x1b[0m\r 50%\r100%\t\a": "", "na\xefve, once": "", strings.Repeat("ü", 3000): "", "": "",
		"a\x00b":                           `a\x00b`,
		"\xff\xfe\x80 x":                   `\xff\xfe\x80 x`,
		"\x01\x02\x03\x04":                 `\x01\x02\x03\x04`,
		"\x00" + strings.Repeat("a", 2000): `\x00` + strings.Repeat("a", 1023),
	} {
		l := logarchive.Chunk{ID: 1}.Line(0, []byte(text))
		if l.Escaped != want || want != "" && l.Binary != len(text) || want == "" && l.Binary != 0 {
			t.Errorf("%.20q: %d bytes, %.40q, want %.40q", text, l.Binary, l.Escaped, want)
		}
	}
}
