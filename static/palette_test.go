package static_test

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"testing"
)

type colour [3]float64 // linear red, green and blue

func parseColour(t *testing.T, hex string) (c colour) {
	t.Helper()
	var channels [3]uint8
	if _, err := fmt.Sscanf(hex, "#%02x%02x%02x", &channels[0], &channels[1], &channels[2]); err != nil {
		t.Fatalf("%s: %v", hex, err)
	}
	for i, v := range channels {
		s := float64(v) / 255
		if c[i] = s / 12.92; s > 0.04045 {
			c[i] = math.Pow((s+0.055)/1.055, 2.4)
		}
	}
	return c
}

// contrast is that of WCAG 2.
func contrast(a, b colour) float64 {
	light := func(c colour) float64 { return 0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2] }
	return (max(light(a), light(b)) + 0.05) / (min(light(a), light(b)) + 0.05)
}

// visions are how people see: Machado et al. 2009, at full severity.
var visions = map[string][3][3]float64{
	"usual":        {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
	"protanopia":   {{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}},
	"deuteranopia": {{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}},
	"tritanopia":   {{1.255528, -0.076749, -0.178779}, {-0.078411, 0.930809, 0.147602}, {0.004733, 0.691367, 0.303900}},
}

// seen is a colour in Oklab, as it is seen.
func seen(c colour, vision [3][3]float64) (lab colour) {
	var s colour
	for i, row := range vision {
		s[i] = min(1, max(0, row[0]*c[0]+row[1]*c[1]+row[2]*c[2]))
	}
	l := math.Cbrt(0.4122214708*s[0] + 0.5363325363*s[1] + 0.0514459929*s[2])
	m := math.Cbrt(0.2119034982*s[0] + 0.6806995451*s[1] + 0.1073969566*s[2])
	n := math.Cbrt(0.0883024619*s[0] + 0.2817188376*s[1] + 0.6299787005*s[2])
	return colour{0.2104542553*l + 0.7936177850*m - 0.0040720468*n, 1.9779984951*l - 2.4285922050*m + 0.4505937099*n, 0.0259040371*l + 0.7827717662*m - 0.8086757660*n}
}

func TestCurvesAreToldApartWithAnyColourVision(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("css/ui/tokens.css")
	if err != nil {
		t.Fatal(err)
	}
	token := func(name string, theme int) colour {
		m := regexp.MustCompile(name + `: light-dark\((#\w{6}), (#\w{6})\)`).FindSubmatch(text)
		if m == nil {
			t.Fatalf("no token %s", name)
		}
		return parseColour(t, string(m[theme]))
	}
	for theme, name := range map[int]string{1: "light", 2: "dark"} {
		var all []colour
		for i := range 8 {
			c := token(fmt.Sprintf("--series-%d", i+1), theme)
			if got := contrast(c, token("--surface", theme)); got < 3 {
				t.Errorf("%s: curve %d has a contrast of %.2f", name, i+1, got)
			}
			all = append(all, c)
		}
		for vision, matrix := range visions {
			for i, a := range all {
				for j, b := range all[:i] {
					x, y := seen(a, matrix), seen(b, matrix)
					if d := math.Hypot(math.Hypot(x[0]-y[0], x[1]-y[1]), x[2]-y[2]); d < 0.08 { // the Okabe-Ito palette has 0.06
						t.Errorf("%s, %s: curves %d and %d differ by %.3f", name, vision, j+1, i+1, d)
					}
				}
			}
		}
	}
}
