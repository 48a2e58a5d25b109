// Gendoc prints docs/configuration.md, or with -schema the JSON Schema of CotrainCore's TOML.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/cotrain/cotrain/internal/trainconf"
)

func main() {
	schema := flag.Bool("schema", false, "print the JSON Schema instead")
	flag.Parse()
	out := trainconf.Reference()
	if *schema {
		out = trainconf.JSONSchema()
	}
	if _, err := os.Stdout.Write(out); err != nil {
		fmt.Fprintln(os.Stderr, "gendoc:", err)
		os.Exit(1)
	}
}
