package localnomad

import (
	"io"
	"net/http"
	"strings"
)

func (a *testAgent) do(method, path, body string) (string, int) {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), method, "http://local"+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	resp, err := a.http.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // read to its end
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return string(text), resp.StatusCode
}
