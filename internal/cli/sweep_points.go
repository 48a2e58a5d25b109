package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// maxListFile is the largest file with the runs of a sweep, in bytes: what the console takes.
const maxListFile = 400 << 10

// parsePoints reads the runs of a sweep: objects of JSON, one after the other, or the tables [[runs]] of TOML. Tables and
// objects within them are fields with dots.
func parsePoints(data []byte) ([]map[string]string, error) {
	read := tomlPoints
	if first := bytes.TrimSpace(data); first[0] == '{' {
		read = jsonPoints
	}
	raw, err := read(data)
	if err != nil {
		return nil, err
	}
	if n := len(raw); n == 0 || n > run.MaxSweepRuns {
		return nil, fault.Usage(fmt.Sprintf("--list names %d runs", n), fmt.Sprintf("name 2 to %d", run.MaxSweepRuns))
	}
	points := make([]map[string]string, 0, len(raw))
	for i, values := range raw {
		point := map[string]string{}
		if err := flatten(point, "", values); err != nil {
			return nil, fault.Usage(fmt.Sprintf("--list: run %d: %v", i+1, err), "use texts, numbers, true and false")
		}
		points = append(points, point)
	}
	return points, nil
}

func jsonPoints(data []byte) ([]map[string]any, error) {
	var out []map[string]any
	dec := json.NewDecoder(bytes.NewReader(data))
	for {
		var text json.RawMessage
		err := dec.Decode(&text)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if key, found := run.DuplicateKey(text); found {
			return nil, fault.Usage(fmt.Sprintf("--list: object %d has %s twice", len(out)+1, key), "give it once")
		}
		var values map[string]any
		if err == nil {
			numbers := json.NewDecoder(bytes.NewReader(text))
			numbers.UseNumber() // as they are written
			err = numbers.Decode(&values)
		}
		if err != nil {
			return nil, fault.Usage(fmt.Sprintf("--list: object %d is not JSON: %v", len(out)+1, err), `write {"optim.optim.lr": 1e-4} for each run`)
		}
		out = append(out, values)
	}
}

func tomlPoints(data []byte) (out []map[string]any, err error) {
	defer func() {
		if r := recover(); r != nil { // the library panics on some of what it does not expect
			out, err = nil, fault.Usage("--list cannot be read as TOML", "simplify the file")
		}
	}()
	var file map[string]any
	if _, err := toml.Decode(string(data), &file); err != nil {
		return nil, fault.Usage(fmt.Sprintf("--list is neither lines of JSON nor TOML: %v", err), tomlAdvice)
	}
	for key, value := range file {
		runs, ok := value.([]map[string]any)
		if key != "runs" || !ok {
			return nil, fault.Usage(fmt.Sprintf("--list: %q is not one of [[runs]]", key), tomlAdvice)
		}
		out = runs
	}
	return out, nil
}

const tomlAdvice = "write [[runs]] for each run, and its fields below"

// flatten adds values by their field's path.
func flatten(into map[string]string, prefix string, values map[string]any) error {
	for key, value := range values {
		field := prefix + key
		if _, twice := into[field]; twice {
			return fmt.Errorf("%s is given twice", strings.ToValidUTF8(field, "?"))
		}
		switch v := value.(type) {
		case map[string]any:
			if err := flatten(into, field+".", v); err != nil {
				return err
			}
		case string:
			into[field] = v
		case json.Number:
			into[field] = v.String()
		case bool:
			into[field] = strconv.FormatBool(v)
		case int64:
			into[field] = strconv.FormatInt(v, 10)
		case float64:
			into[field] = strconv.FormatFloat(v, 'g', -1, 64)
		case nil:
			into[field] = ""
		default:
			return fmt.Errorf("%s is neither a text nor a number nor true or false", strings.ToValidUTF8(field, "?"))
		}
	}
	return nil
}
