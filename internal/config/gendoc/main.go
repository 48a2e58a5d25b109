// Gendoc prints docs/settings.md.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/cotrain/cotrain/internal/config"
)

const head = `# Settings of the console

Written by ` + "`make generate`" + ` from ` + "`internal/config`" + `. ` + "`cotrain server --help`" + ` prints the same.

A flag overrides its variable, which overrides the file that ` + "`COTRAIN_CONFIG`" + ` or ` + "`--config`" + ` names, which overrides the default. In the
TOML file a key such as ` + "`nomad.address`" + ` is ` + "`address`" + ` below ` + "`[nomad]`" + `. Outside the file, lists are separated by commas. Secrets come from their
variable or from a file: the variable with ` + "`_FILE`" + ` at its end names it, and so do key and flag. The training itself is described in
[configuration.md](configuration.md).
`

func main() {
	var b strings.Builder
	b.WriteString(head)
	group := "-"
	for _, s := range config.Settings() {
		of, _, grouped := strings.Cut(s.Key, ".")
		if !grouped {
			of = "console"
		}
		if of != group {
			group = of
			fmt.Fprintf(&b, "\n## %s\n\n| key | variable | default | what it is |\n| --- | --- | --- | --- |\n", group)
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s |\n", code(s.Keys()...), s.Env, code(s.Default), strings.ReplaceAll(s.Help, "|", `\|`))
	}
	if _, err := os.Stdout.WriteString(b.String()); err != nil {
		fmt.Fprintln(os.Stderr, "gendoc:", err)
		os.Exit(1)
	}
}

// code shows words as code, and nothing for "".
func code(words ...string) string {
	var out []string
	for _, w := range words {
		if w != "" {
			out = append(out, "`"+w+"`")
		}
	}
	return strings.Join(out, ", ")
}
