package main

import (
	"strings"
	"testing"
)

func TestReportShowsFailuresSkipsAndSummaries(t *testing.T) {
	t.Parallel()
	in := strings.Join([]string{
		`{"Action":"build-output","Output":"x.go:1: broken\n"}`,
		`{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN TestA\n"}`,
		`{"Action":"pass","Package":"p","Test":"TestA"}`,
		`{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:3: NOMAD_ADDR is not set\n"}`,
		`{"Action":"skip","Package":"p","Test":"TestB"}`,
		`{"Action":"output","Package":"p","Test":"TestC","Output":"    c_test.go:3: wrong\n"}`,
		`{"Action":"fail","Package":"p","Test":"TestC"}`,
		`{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}`,
		`not JSON`,
	}, "\n")
	var out strings.Builder
	report(strings.NewReader(in), &out)
	want := "x.go:1: broken\nskip\tp TestB: NOMAD_ADDR is not set\n    c_test.go:3: wrong\nFAIL\tp\t0.1s\nnot JSON\n"
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
}
