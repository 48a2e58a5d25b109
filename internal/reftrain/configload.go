package reftrain

import (
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// maxConfigBytes bounds a configuration file. Nomad's payload limit is 16 KiB; files by hand may be longer.
const maxConfigBytes = 1 << 20

const envPrefix = "ZERO_BAND_"

// loadConfig reads `@file.toml`, then `--a.b v` flags, then ZERO_BAND_ variables, each over the one before, and checks the
// result. envNames are the names of all variables that exist; env gives their values.
func loadConfig(args []string, env func(string) string, envNames []string) (config, error) {
	cfg := defaultConfig()
	file, flags, err := splitArgs(args)
	if err != nil {
		return cfg, err
	}
	if file != "" {
		if err := decodeFile(file, &cfg); err != nil {
			return cfg, err
		}
	}
	for _, f := range flags {
		if err := setField(&cfg, f.name, f.value, f.bare); err != nil {
			return cfg, fmt.Errorf("flag --%s: %w", f.name, err)
		}
	}
	if err := applyEnv(&cfg, env, envNames); err != nil {
		return cfg, err
	}
	return cfg, cfg.check()
}

type flagValue struct {
	name, value string
	bare        bool // no value was given: true for a boolean, an error for the rest
}

func splitArgs(args []string) (file string, flags []flagValue, err error) {
	for i := 0; i < len(args); i++ {
		a := args[i]
		switch {
		case strings.HasPrefix(a, "@"):
			if file != "" {
				return "", nil, fmt.Errorf("argument %q: one configuration file is enough, %q was given before", cut(a), cut(file))
			}
			if file = a[1:]; file == "" {
				return "", nil, fmt.Errorf("argument \"@\": a file name follows the @, such as @config.toml")
			}
		case strings.HasPrefix(a, "--") && len(a) > 2:
			name, value, has := strings.Cut(a[2:], "=")
			f := flagValue{name: strings.ReplaceAll(name, "-", "_"), value: value}
			if !has {
				if i+1 < len(args) && !strings.HasPrefix(args[i+1], "--") && !strings.HasPrefix(args[i+1], "@") {
					i++
					f.value = args[i]
				} else {
					f.bare = true
				}
			}
			flags = append(flags, f)
		default:
			return "", nil, fmt.Errorf("argument %q: expected @config.toml or --section.field value", cut(a))
		}
	}
	return file, flags, nil
}

func decodeFile(name string, cfg *config) error {
	f, err := os.Open(name) // #nosec G304 -- the user names the file to read
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	b, err := io.ReadAll(io.LimitReader(f, maxConfigBytes+1))
	if err != nil {
		return fmt.Errorf("read configuration %s: %w", name, err)
	}
	if len(b) > maxConfigBytes {
		return fmt.Errorf("read configuration %s: longer than %d bytes", name, maxConfigBytes)
	}
	if err := decodeTOML(string(b), cfg); err != nil {
		return fmt.Errorf("configuration %s: %w", name, err)
	}
	return nil
}

// decodeTOML fills cfg. Sections that are absent by default get their own defaults first, once the text has them.
func decodeTOML(text string, cfg *config) error {
	var present map[string]any
	if _, err := toml.Decode(text, &present); err != nil {
		return err
	}
	if _, ok := present["diloco"]; ok {
		cfg.DiLoCo = defaultDiLoCo()
	}
	if train, ok := present["train"].(map[string]any); ok {
		cfg.Train = defaultTrain()
		if _, ok := train["memory_profiler"]; ok {
			cfg.Train.MemoryProfiler = defaultProfiler()
		}
	}
	if _, ok := present["monitor"]; ok {
		cfg.Monitor = defaultMonitor()
	}
	md, err := toml.Decode(text, cfg)
	if err != nil {
		return err
	}
	if extra := md.Undecoded(); len(extra) > 0 {
		names := make([]string, 0, len(extra))
		for _, k := range extra[:min(len(extra), 10)] {
			names = append(names, cut(k.String()))
		}
		return fmt.Errorf("%s: Extra inputs are not permitted", strings.Join(names, ", "))
	}
	return nil
}

// setField sets the field with a dotted TOML name from text, creating the sections on its way.
func setField(cfg *config, name, value string, bare bool) error {
	v := reflect.ValueOf(cfg).Elem()
	parts := strings.Split(name, ".")
	for i, part := range parts {
		idx := fieldIndex(v.Type(), part)
		if idx < 0 {
			return fmt.Errorf("%s: Extra inputs are not permitted", cut(name))
		}
		v = v.Field(idx)
		if i < len(parts)-1 {
			if v = section(v, part); !v.IsValid() {
				return fmt.Errorf("%s: %s is a value, not a section", cut(name), part)
			}
		}
	}
	if bare {
		if v.Kind() != reflect.Bool && v.Kind() != reflect.Interface {
			return fmt.Errorf("%s needs a value", cut(name))
		}
		value = "true"
	}
	return setValue(v, value)
}

func fieldIndex(t reflect.Type, tag string) int {
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("toml") == tag {
			return i
		}
	}
	return -1
}

// section returns the struct behind a section's field, made with its defaults if it is absent.
func section(v reflect.Value, name string) reflect.Value {
	if v.Kind() == reflect.Struct {
		return v
	}
	if v.Kind() != reflect.Pointer || v.Type().Elem().Kind() != reflect.Struct {
		return reflect.Value{}
	}
	if v.IsNil() {
		switch name {
		case "diloco":
			v.Set(reflect.ValueOf(defaultDiLoCo()))
		case "train":
			v.Set(reflect.ValueOf(defaultTrain()))
		case "memory_profiler":
			v.Set(reflect.ValueOf(defaultProfiler()))
		case "monitor":
			v.Set(reflect.ValueOf(defaultMonitor()))
		default:
			v.Set(reflect.New(v.Type().Elem()))
		}
	}
	return v.Elem()
}

func setValue(v reflect.Value, s string) error {
	switch v.Kind() {
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		if err := setValue(p.Elem(), s); err != nil {
			return err
		}
		v.Set(p)
	case reflect.String:
		v.SetString(s)
	case reflect.Bool:
		b, err := parseBool(s)
		if err != nil {
			return err
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return fmt.Errorf("%q is no whole number", cut(s))
		}
		v.SetInt(n)
	case reflect.Float64:
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return fmt.Errorf("%q is no number", cut(s))
		}
		v.SetFloat(f)
	case reflect.Interface: // ac_ckpt
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			v.Set(reflect.ValueOf(n))
			return nil
		}
		b, err := parseBool(s)
		if err != nil {
			return err
		}
		v.Set(reflect.ValueOf(b))
	default:
		return fmt.Errorf("is a section: set its fields one by one")
	}
	return nil
}

func parseBool(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "true", "1", "yes", "on":
		return true, nil
	case "false", "0", "no", "off":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", cut(s))
}

// applyEnv sets fields from ZERO_BAND_<SECTION>_<FIELD> and refuses every other variable with that prefix. As in
// CotrainCore, the fields of an absent section cannot be set.
func applyEnv(cfg *config, env func(string) string, names []string) error {
	valid := map[string]string{}
	envFields(reflect.ValueOf(cfg).Elem(), "", valid)
	var unknown, known []string
	for _, n := range names {
		if !strings.HasPrefix(n, envPrefix) || env(n) == "" {
			continue
		}
		if _, ok := valid[n]; ok {
			known = append(known, n)
		} else {
			unknown = append(unknown, cut(n))
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return fmt.Errorf("found invalid environment variables with %s prefix: %s", envPrefix, strings.Join(unknown, ", "))
	}
	slices.Sort(known)
	for _, n := range known {
		if err := setField(cfg, valid[n], env(n), false); err != nil {
			return fmt.Errorf("error setting %s: %w", n, err)
		}
	}
	return nil
}

func envFields(v reflect.Value, prefix string, out map[string]string) {
	t := v.Type()
	for i := range t.NumField() {
		name := t.Field(i).Tag.Get("toml")
		if prefix != "" {
			name = prefix + "." + name
		}
		out[envPrefix+strings.ToUpper(strings.ReplaceAll(name, ".", "_"))] = name
		f := v.Field(i)
		if f.Kind() == reflect.Pointer && !f.IsNil() {
			f = f.Elem()
		}
		if f.Kind() == reflect.Struct {
			envFields(f, name, out)
		}
	}
}

// cut shortens text from outside before it goes into a message.
func cut(s string) string {
	if len(s) > 200 {
		return strings.ToValidUTF8(s[:200], "") + "..."
	}
	return s
}
