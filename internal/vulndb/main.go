// Vulndb is what the gate needs around govulncheck: a database made from the reports in the Go module golang.org/x/vulndb, so that
// no network is needed beyond the module proxy, and a verdict on what was found.
//
//	vulndb build REPORTS OUT
//	vulndb judge FOUND
package main

import (
	"fmt"
	"os"
)

func main() {
	err := fmt.Errorf("usage: vulndb build REPORTS OUT, or vulndb judge FOUND")
	switch args := os.Args[1:]; {
	case len(args) == 3 && args[0] == "build":
		err = build(args[1], args[2])
	case len(args) == 2 && args[0] == "judge":
		err = judge(args[1], os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "vulndb:", err)
		os.Exit(1)
	}
}
