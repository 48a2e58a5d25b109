package jobfile

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// unsupported is what a job may say and the embedded agent does not do, by the names that a job file has for it. A job with
// something refused would not do what its author wants; what is ignored does nothing on a single machine.
var unsupported = map[reflect.Type]struct{ refused, ignored string }{
	reflect.TypeFor[api.Job]():                {"multiregion periodic consul_token vault_token", "affinity all_at_once migrate reschedule spread ui update"},
	reflect.TypeFor[api.TaskGroup]():          {"consul max_client_disconnect max_run_duration prevent_reschedule_on_lost shutdown_delay stop_after_client_disconnect", "affinity migrate reschedule scaling spread update"},
	reflect.TypeFor[api.Task]():               {"artifact consul csi_plugin identity kind lifecycle schedule secret shutdown_delay user", "action affinity scaling"},
	reflect.TypeFor[api.Resources]():          {"cores network numa secrets", "disk iops memory_max"},
	reflect.TypeFor[api.RequestedDevice]():    {"", "affinity"},
	reflect.TypeFor[api.Template]():           {"change_script error_on_missing_key gid source uid", "wait"},
	reflect.TypeFor[api.RestartPolicy]():      {"render_templates", ""},
	reflect.TypeFor[api.DisconnectStrategy](): {"stop_on_client_after", "reconcile"},
	reflect.TypeFor[api.EphemeralDisk]():      {"", "migrate"},
	reflect.TypeFor[api.LogConfig]():          {"", "disabled"},
	reflect.TypeFor[api.NetworkResource]():    {"cidr cni device dns hostname ip", "mbits"},
	reflect.TypeFor[api.Port]():               {"ignore_collision", ""},
	reflect.TypeFor[api.Service]():            {"connect identity", "canary_meta canary_tags check check_restart enable_tag_override meta tagged_addresses"},
}

// unsupported adds what the agent refuses below v as problems, each with the blocks that it is in, and returns what it
// ignores. It looks at the job as it was sent: defaults would count as what its author wants.
func (p *problems) unsupported(v reflect.Value, where string) (ignored []string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return p.unsupported(v.Elem(), where)
		}
	case reflect.Slice:
		for i := range v.Len() {
			ignored = append(ignored, p.unsupported(v.Index(i), where)...)
		}
	case reflect.Struct:
		fields, label := fieldsOf(v.Type())
		if label >= 0 {
			where = strings.TrimSuffix(where, ": ") + fmt.Sprintf(" %q: ", reflect.Indirect(v.Field(label)))
		}
		words := unsupported[v.Type()]
		for _, f := range fields {
			switch value := v.Field(f.index); {
			case !says(value):
			case slices.Contains(strings.Fields(words.refused), f.name):
				p.add("%s%s is not supported by the embedded agent", where, f.name)
			case slices.Contains(strings.Fields(words.ignored), f.name):
				ignored = append(ignored, fmt.Sprintf("%s%s has no effect on the embedded agent", where, f.name))
			case f.block:
				ignored = append(ignored, p.unsupported(value, where+f.name+": ")...)
			}
		}
	}
	return ignored
}

// says reports whether a field asks for something. To reschedule nothing is all that the agent does anyway.
func says(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() > 0
	case reflect.Pointer:
		if r, ok := v.Interface().(*api.ReschedulePolicy); ok && r != nil {
			return deref(r.Unlimited) || deref(r.Attempts) != 0
		}
		return !v.IsNil() && (v.Elem().Kind() == reflect.Struct || !v.Elem().IsZero())
	}
	return !v.IsZero()
}
