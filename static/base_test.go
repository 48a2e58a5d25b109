package static_test

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// TestScriptsAskForPathsWhereTheConsoleIsPublished finds paths of the console in scripts that do not go through at().
func TestScriptsAskForPathsWhereTheConsoleIsPublished(t *testing.T) {
	t.Parallel()
	literal := regexp.MustCompile("(at\\()?[\"'`]/[^\"'`]*[\"'`]")
	found := 0
	err := fs.WalkDir(os.DirFS("."), "js", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(file) != ".js" {
			return err
		}
		text, err := os.ReadFile(file)
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, "*") || strings.HasPrefix(line, "//") {
				continue
			}
			for _, m := range literal.FindAllStringSubmatch(line, -1) {
				found++
				if m[1] == "" && m[0] != `"/"` { // a key on the keyboard
					t.Errorf("%s: %s is not below the path of the public URL", file, m[0])
				}
			}
		}
		return err
	})
	if err != nil || found < 8 {
		t.Errorf("%d paths were found, %v", found, err)
	}
}
