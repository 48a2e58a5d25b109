package cli

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/config"
)

// storeSettings are the settings that say where a console's data is.
func storeSettings() []config.Setting {
	return slices.DeleteFunc(config.Settings(), func(s config.Setting) bool {
		return s.Key != "data_dir" && !strings.HasPrefix(s.Key, "database.") && !strings.HasPrefix(s.Key, "logs.s3_")
	})
}

// clusterSettings are the settings that say where the cluster is, and what jobs ask of it.
func clusterSettings() []config.Setting {
	return slices.DeleteFunc(config.Settings(), func(s config.Setting) bool {
		part, _, _ := strings.Cut(s.Key, ".")
		return !slices.Contains([]string{"nomad", "vault", "consul", "job", "storage"}, part)
	})
}

// newFlags makes a flag for each of some settings in package config's table. It returns a pointer to a struct, as kong wants it;
// [givenFlags] reads it. Values are text, or *bool for switches: package config checks them together with those from elsewhere.
func newFlags(settings []config.Setting) any {
	fields := []reflect.StructField{flagField(0, "config", reflect.TypeFor[string](), "TOML file with settings", config.EnvFile, "")}
	for _, s := range settings {
		for _, key := range s.Keys() {
			typ, name := reflect.TypeFor[string](), strings.TrimPrefix(s.Flag(), "--")
			help, env := s.Help, s.Env
			switch {
			case key != s.Key:
				name, help, env = name+"-file", "file that holds the "+help, env+"_FILE"
			case s.Default == "true" || s.Default == "false":
				typ = reflect.TypeFor[*bool]()
			}
			fields = append(fields, flagField(len(fields), name, typ, help, env, s.Default))
		}
	}
	return reflect.New(reflect.StructOf(fields)).Interface()
}

// flagField is one flag; the field's name only has to be unique.
func flagField(i int, name string, typ reflect.Type, help, env, otherwise string) reflect.StructField {
	help += " (" + env
	if otherwise != "" && otherwise != "false" {
		help += "; " + otherwise
	}
	help += ")."
	tag := fmt.Sprintf(`name:%q help:%q`, name, strings.ReplaceAll(help, "$", "$$"))
	if typ.Kind() == reflect.String {
		tag += ` placeholder:"VALUE"`
	}
	return reflect.StructField{Name: "Flag" + strconv.Itoa(i), Type: typ, Tag: reflect.StructTag(tag)}
}

// givenFlags returns the flags of some settings that were given, by the key of their setting.
func givenFlags(flags any, settings []config.Setting) config.Flags {
	keys := []string{"config"}
	for _, s := range settings {
		keys = append(keys, s.Keys()...)
	}
	out := config.Flags{}
	v := reflect.ValueOf(flags).Elem()
	for i, key := range keys {
		switch f := v.Field(i); {
		case f.Kind() == reflect.String && f.String() != "":
			out[key] = f.String()
		case f.Kind() == reflect.Pointer && !f.IsNil():
			out[key] = strconv.FormatBool(f.Elem().Bool())
		}
	}
	return out
}
