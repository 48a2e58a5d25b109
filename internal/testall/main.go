// Testall runs go test on everything and prints, besides go test's own lines, each test that was skipped and why. Its
// arguments are passed on.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
)

// event is a line of go test -json; see go doc test2json.
type event struct {
	Action, Package, Test, Output, ImportPath string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	// Tests see for themselves when nothing moves any more; go's own limit is only for what they miss.
	args := append([]string{"test", "-json", "-timeout=30m"}, os.Args[1:]...)
	cmd := exec.CommandContext(ctx, "go", append(args, "./...")...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "run go test:", err)
		os.Exit(1)
	}
	report(out, os.Stdout)
	if err := cmd.Wait(); err != nil {
		os.Exit(1)
	}
}

// place is how go test begins the line of a skip's reason.
var place = regexp.MustCompile(`^\s+\S+\.go:\d+: `)

// report prints the output of failed tests, the reasons of skipped ones, and each package's line.
func report(in io.Reader, w io.Writer) {
	output := map[string][]string{} // of tests that run, by package and test
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var ev event
		if json.Unmarshal(lines.Bytes(), &ev) != nil {
			fmt.Fprintln(w, lines.Text())
			continue
		}
		key := ev.Package + " " + ev.Test
		switch {
		case ev.Action == "build-output":
			fmt.Fprint(w, ev.Output)
		case ev.Action == "output" && ev.Test == "":
			if strings.TrimSpace(ev.Output) != "PASS" && !strings.Contains(ev.Output, "[no test files]") {
				fmt.Fprint(w, ev.Output)
			}
		case ev.Action == "output":
			output[key] = append(output[key], ev.Output)
		case ev.Action == "pass":
			delete(output, key)
		case ev.Action == "skip" && ev.Test != "":
			fmt.Fprintf(w, "skip\t%s %s: %s\n", ev.Package, ev.Test, reason(output[key]))
			delete(output, key)
		case ev.Action == "fail":
			fmt.Fprint(w, strings.Join(output[key], ""))
			delete(output, key)
		}
	}
}

func reason(lines []string) string {
	for _, l := range lines {
		if place.MatchString(l) {
			return strings.TrimSpace(place.ReplaceAllString(l, ""))
		}
	}
	return "no reason given"
}
