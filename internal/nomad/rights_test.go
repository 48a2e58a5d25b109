package nomad

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
)

// guarded answers as a Nomad whose token has all rights that the console needs, and nothing in it. A path that is in denied is refused.
func guarded(f *fakeNomad, denied string) {
	handle := func(pattern string, answer http.HandlerFunc) {
		f.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if denied != "" && strings.Contains(pattern, denied) {
				refuse(403, "Permission denied")(w, r)
				return
			}
			answer(w, r)
		})
	}
	handle("GET /v1/jobs", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, []any{}) })
	handle("GET /v1/job/{id}", refuse(404, "job not found"))
	handle("PUT /v1/jobs/parse", parsedJob)
	handle("PUT /v1/jobs", func(w http.ResponseWriter, r *http.Request) {
		var given struct {
			EnforceIndex   bool
			JobModifyIndex uint64
			Job            struct{ ID string }
		}
		if err := json.NewDecoder(r.Body).Decode(&given); err != nil || !given.EnforceIndex || given.JobModifyIndex != 1 || given.Job.ID != probe {
			answerJSON(w, map[string]any{}) // it would be registered
			return
		}
		refuse(500, "Enforcing job modify index 1: job does not exist")(w, r)
	})
	handle("PUT /v1/job/{id}/dispatch", refuse(500, "parameterized job not found"))
	handle("GET /v1/allocations", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, []map[string]string{{"ID": "a1"}}) })
	handle("GET /v1/client/fs/ls/{alloc}", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, []any{}) })
	handle("PUT /v1/client/allocation/{alloc}/signal", func(w http.ResponseWriter, r *http.Request) {
		var given struct{ Task string }
		if err := json.NewDecoder(r.Body).Decode(&given); err != nil || given.Task != probe {
			answerJSON(w, map[string]any{}) // a worker would get it
			return
		}
		refuse(500, "Task not found")(w, r)
	})
	handle("GET /v1/nodes", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, []any{}) })
	handle("GET /v1/node/pools", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, []map[string]string{{"Name": "all"}}) })
	handle("PUT /v1/node/{id}/eligibility", refuse(500, "node not found"))
	handle("GET /v1/var/", refuse(404, "variable not found"))
	f.HandleFunc("GET /v1/event/stream", func(w http.ResponseWriter, r *http.Request) {
		if denied == "/v1/event/stream" { // 200, and then nothing
			<-r.Context().Done()
			return
		}
		fmt.Fprint(w, "{}\n")
	})
}

// parsedJob is what the built-in job file parses to, as far as it matters.
func parsedJob(w http.ResponseWriter, r *http.Request) {
	var given struct{ Variables string }
	_ = json.NewDecoder(r.Body).Decode(&given)
	_, id, _ := strings.Cut(given.Variables, `job_id = "`)
	id, _, _ = strings.Cut(id, `"`)
	answerJSON(w, map[string]any{
		"ID": id, "Name": id, "ParameterizedJob": map[string]any{}, "NodePool": "gpu", "Datacenters": []string{"*"},
		"TaskGroups": []any{map[string]any{
			"Name": "workers", "Volumes": map[string]any{"storage": map[string]any{"Type": "host", "Source": "cotrain"}},
			"Tasks": []any{map[string]any{"Name": "trainer", "Driver": "docker", "Config": map[string]any{"image": "x"}, "KillTimeout": 60e9, "LogConfig": map[string]any{"MaxFiles": 3}}},
		}},
	})
}

// results are the errors of rights, by name.
func results(tries ...[]Tried) map[string]error {
	out := map[string]error{}
	for _, list := range tries {
		for _, t := range list {
			out[t.Right] = t.Err
		}
	}
	return out
}

func TestRightsAreTriedWithoutSideEffects(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	guarded(f, "")
	for right, err := range results(c.TryNamespace(t.Context(), "team-a"), c.TryCluster(t.Context())) {
		if err != nil {
			t.Errorf("%s: %v", right, err)
		}
	}
	if n := f.count("PUT /v1/jobs") - f.count("PUT /v1/jobs/parse"); n != 1 {
		t.Errorf("a job was sent %d times", n)
	}
	for right, err := range results(c.TryExcess(t.Context(), "team-a")) {
		if err != nil {
			t.Errorf("%s counts as refused: %v", right, err)
		}
	}
}

func TestEachRightThatIsRefusedIsNamed(t *testing.T) {
	t.Parallel()
	for right, path := range map[string]string{
		"list-jobs": "GET /v1/jobs", "read-job": "GET /v1/job/{id}", "submit-job": "PUT /v1/jobs", "dispatch-job": "/dispatch", "read-fs": "/fs/ls", "alloc-lifecycle": "/signal", "node:read": "GET /v1/nodes",
		"node:write": "/eligibility", "variables:read": "/v1/var/",
	} {
		t.Run(right, func(t *testing.T) {
			t.Parallel()
			f, c := newFake(t)
			guarded(f, path)
			for name, err := range results(c.TryNamespace(t.Context(), "team-a"), c.TryCluster(t.Context()), c.TryExcess(t.Context(), "team-a")) {
				if denied := errors.Is(err, ErrDenied); denied != (name == right) || !denied && err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

func TestWhatCannotBeTriedIsSaid(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	f.HandleFunc("GET /v1/allocations", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, []any{}) })
	f.HandleFunc("GET /v1/node/pools", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, []any{}) })
	f.HandleFunc("PUT /v1/jobs/parse", refuse(400, "Failed to parse job: input.hcl:1: no"))
	got := results(c.TryNamespace(t.Context(), "team-a"), c.TryCluster(t.Context()))
	if !errors.Is(got["read-fs"], ErrUntested) || !errors.Is(got["alloc-lifecycle"], ErrUntested) || !errors.Is(got["submit-job"], ErrUntested) || !errors.Is(got["node_pool:read"], ErrDenied) {
		t.Errorf("without allocations, pools and a usable job file: %v", got)
	}
}

func TestASilentEventStreamIsARightThatIsMissing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, c := newFake(t)
		guarded(f, "/v1/event/stream")
		if err := results(c.TryCluster(t.Context()))["events"]; !errors.Is(err, ErrDenied) {
			t.Errorf("it gives %v", err)
		}
	})
}

func TestGrantsAreThoseOfPoliciesRolesAndIdentities(t *testing.T) {
	t.Parallel()
	policy := func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, map[string]any{"RulesJSON": map[string]any{
			"Namespaces": []any{map[string]any{"Name": "training", "Capabilities": []string{"read-job"}, "Variables": map[string]any{"Paths": []any{map[string]any{"PathSpec": "cotrain/*", "Capabilities": []string{"list"}}}}}},
			"Node":       map[string]string{"Policy": "read"},
		}})
	}
	self := func(more map[string]any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, more) }
	}
	for _, tt := range []struct {
		name     string
		self     http.HandlerFunc
		policies http.HandlerFunc // of the newest Nomad
		want     string
	}{
		{"a role", self(map[string]any{"Type": "client", "Roles": []any{map[string]string{"ID": "r1"}}}), refuse(404, "ACL policy not found"), "p1"},
		{"policies", self(map[string]any{"Type": "client", "Policies": []string{"p2"}}), refuse(404, "ACL policy not found"), "p2"},
		{"a workload identity", refuse(403, "Permission denied"), func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, []map[string]string{{"Name": "p3"}}) }, "p3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, c := newFake(t)
			f.HandleFunc("GET /v1/acl/token/self", tt.self)
			f.HandleFunc("GET /v1/acl/policy/self", tt.policies)
			f.HandleFunc("GET /v1/acl/role/r1", func(w http.ResponseWriter, _ *http.Request) {
				answerJSON(w, map[string]any{"Policies": []any{map[string]string{"Name": "p1"}}})
			})
			f.HandleFunc("GET /v1/acl/policy/"+tt.want, policy)
			g, err := c.Grants(t.Context())
			if err != nil || !g.ACLs || g.Management || len(g.Rules) != 1 || g.Rules[0].Policy != tt.want || g.Rules[0].Node.Policy != "read" || g.Rules[0].Namespaces[0].Variables.Paths[0].PathSpec != "cotrain/*" {
				t.Errorf("they are %+v, %v", g, err)
			}
		})
	}
	for _, tt := range []struct {
		name       string
		self       http.HandlerFunc
		acls, mgmt bool
		err        error
	}{
		{"a management token", self(map[string]any{"Type": "management"}), true, true, nil}, {"ACLs that are off", refuse(400, "ACL support disabled"), false, false, nil},
		{"a wrong token", refuse(403, "ACL token not found"), true, false, ErrDenied}, {"no leader", refuse(500, "No cluster leader"), true, false, fault.ErrUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, c := newFake(t)
			f.HandleFunc("GET /v1/acl/token/self", tt.self)
			f.HandleFunc("GET /v1/acl/policy/self", refuse(403, "Permission denied"))
			if g, err := c.Grants(t.Context()); g.ACLs != tt.acls || g.Management != tt.mgmt || !errors.Is(err, tt.err) {
				t.Errorf("they are %+v, %v", g, err)
			}
		})
	}
}

// TestAClockIsReadToTheInterval between two requests, although the node's measurement may be a second old.
func TestAClockIsReadToTheInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, c := newFake(t)
		const ahead = 3 * time.Second
		began := time.Now()
		f.HandleFunc("GET /v1/client/stats", func(w http.ResponseWriter, _ *http.Request) {
			measured := time.Since(began).Truncate(time.Second)
			answerJSON(w, map[string]any{"Timestamp": began.Add(measured + ahead).UnixNano(), "AllocDirStats": map[string]any{"UsedPercent": 81.5}})
		})
		h, err := c.Host(t.Context(), "n1")
		if err != nil || !h.Known || h.Least > ahead || h.Most < ahead || h.Most-h.Least > 2*clockEvery || h.DiskUsed != 81.5 {
			t.Errorf("it is %+v, %v", h, err)
		}
	})
}

func TestAClockThatStandsStillIsNotKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, c := newFake(t)
		f.HandleFunc("GET /v1/client/stats", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, map[string]any{"Timestamp": 1}) })
		if h, err := c.Host(t.Context(), "n1"); err != nil || h.Known {
			t.Errorf("it is %+v, %v", h, err)
		}
	})
}

func TestInspection(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	guarded(f, "GET /v1/nodes")
	if _, err := c.Inspect(t.Context()); !errors.Is(err, ErrDenied) {
		t.Errorf("without the right it gives %v", err)
	}
	f, c = newFake(t)
	f.HandleFunc("PUT /v1/jobs/parse", parsedJob)
	f.HandleFunc("GET /v1/nodes", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, []map[string]string{{"ID": "id1"}}) })
	f.HandleFunc("GET /v1/node/id1", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, map[string]any{
			"ID": "id1", "Name": "n1", "Datacenter": "dc1", "NodePool": "gpu", "Status": "ready", "SchedulingEligibility": "eligible", "TLSEnabled": true,
			"Attributes": map[string]string{"nomad.version": "2.0.5", "driver.docker.runtimes": "runc,nvidia"}, "Meta": map[string]string{"zone": "r1"},
			"Drivers": map[string]any{
				"docker": map[string]any{"Detected": true, "Healthy": true}, "podman": map[string]any{"Detected": false, "HealthDescription": "no socket"},
				"qemu": map[string]any{"Detected": false}, "exec": map[string]any{"Detected": true},
			},
			"HostVolumes":   map[string]any{"cotrain": map[string]any{"ReadOnly": true}},
			"NodeResources": map[string]any{"Devices": []any{map[string]any{"Type": "gpu", "Instances": []any{map[string]any{"Healthy": true}, map[string]any{}}}}},
		})
	})
	f.HandleFunc("GET /v1/agent/members", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, map[string]any{"ServerName": "s1", "Members": []any{map[string]any{"Name": "s1.global", "Status": "alive", "Tags": map[string]string{"build": "2.0.5", "region": "global"}}}})
	})
	nodes, err := c.Inspect(t.Context())
	if err != nil || len(nodes) != 1 {
		t.Fatalf("nodes: %+v, %v", nodes, err)
	}
	n := nodes[0]
	drivers := fmt.Sprint(n.Drivers)
	if drivers != "map[docker: exec:it is not healthy podman:no socket]" || n.Status != "ready" || !n.Eligible || !n.TLS || n.GPUs != 1 || n.UnfitGPUs != 1 || !n.Volumes["cotrain"] || n.Meta["zone"] != "r1" || n.Version != "2.0.5" {
		t.Errorf("the node is %+v", n)
	}
	job, err := c.JobFacts(t.Context())
	if err != nil || job.Driver != "docker" || !job.UsesContainerImage || job.KillTimeout != time.Minute || job.LogFiles != 3 || job.LogMB != 10 || job.Pool != "gpu" || fmt.Sprint(job.Volumes) != "[cotrain]" {
		t.Errorf("the job is %+v, %v", job, err)
	}
	if members, err := c.Members(t.Context()); err != nil || len(members) != 1 || members[0] != (Member{"s1.global", "2.0.5", true, true}) {
		t.Errorf("servers: %+v, %v", members, err)
	}
}

// TestTheVersionIsKnownWithoutTheRightToReadAgents from the list of servers.
func TestTheVersionIsKnownWithoutTheRightToReadAgents(t *testing.T) {
	t.Parallel()
	f := &fakeNomad{ServeMux: http.NewServeMux()}
	f.HandleFunc("GET /v1/status/leader", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, "127.0.0.1:4647") })
	f.HandleFunc("GET /v1/jobs", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, []any{}) })
	f.HandleFunc("GET /v1/agent/self", refuse(403, "Permission denied"))
	f.HandleFunc("GET /v1/agent/members", func(w http.ResponseWriter, _ *http.Request) {
		member := func(name, build string) map[string]any {
			return map[string]any{"Name": name + ".global", "Status": "alive", "Tags": map[string]string{"build": build, "region": "global"}}
		}
		answerJSON(w, map[string]any{"ServerName": "s2", "Members": []any{member("s1", "2.0.4"), member("s2", "2.0.5")}})
	})
	c := clientOf(t, f)
	if info, err := c.Ping(t.Context()); err != nil || info.Version != "2.0.5" || info.Name != "s2.global" {
		t.Errorf("it is %+v, %v", info, err)
	}
}
