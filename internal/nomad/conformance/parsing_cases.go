package conformance

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// parsedCase is a job file and a part of what it becomes.
type parsedCase struct{ hcl, want string }

// parsedCases are by what they show.
func parsedCases() map[string]parsedCase {
	return map[string]parsedCase{
		"iterators of dynamic blocks whose names are free": {`
job "x" {
  group "g" {
    task "t" {
      driver = "docker"
      dynamic "config" {
        for_each = [{ image = "a:1", shares = 3 }]
        content {
          image  = config.value.image
          args   = ["${config.key}-${config.value.shares}", config.value.shares, "${NOMAD_PORT_http}"]
          labels = { from = config.value.image }
          mount {
            source = config.value.image
          }
        }
      }
      dynamic "env" {
        for_each = { A = "b" }
        content {
          KEY   = env.key
          VALUE = "is ${env.value}"
        }
      }
      dynamic "meta" {
        for_each = ["v"]
        iterator = each
        content {
          pair = "${each.key}:${each.value}"
        }
      }
      dynamic "artifact" {
        for_each = ["https://example.com/a"]
        content {
          source = artifact.value
          options {
            checksum = "md5:${artifact.key}"
          }
        }
      }
    }
  }
}`, `{"TaskGroups": [{"Tasks": [{
  "Config": {"image": "a:1", "args": ["0-3", 3, "${NOMAD_PORT_http}"], "labels": [{"from": "a:1"}], "mount": [{"source": "a:1"}]},
  "Env": {"KEY": "A", "VALUE": "is b"}, "Meta": {"pair": "0:v"},
  "Artifacts": [{"GetterSource": "https://example.com/a", "GetterOptions": {"checksum": "md5:0"}}]}]}]}`},

		"what an outer iterator selects": {`
variable "tasks" {
  default = { a = ["one", "two"], b = ["three"] }
}

job "x" {
  dynamic "group" {
    for_each = ["a", "b"]
    labels   = ["g-${group.value}"]
    content {
      dynamic "task" {
        for_each = var.tasks[group.value]
        labels   = [task.value]
        content {
          driver = "exec"
          config {
            command = "/bin/${task.value}"
            args    = [["first", "second"][group.key], var.tasks[group.value][task.key], [for s in var.tasks[group.value] : "${group.value}-${s}"]]
            arch    = "${attr.cpu.arch}"
          }
          env {
            LAST = var.tasks[group.value][length(var.tasks[group.value]) - 1]
          }
        }
      }
    }
  }
}`, `{"TaskGroups": [
  {"Name": "g-a", "Tasks": [
    {"Name": "one", "Config": {"command": "/bin/one", "args": ["first", "one", ["a-one", "a-two"]], "arch": "${attr.cpu.arch}"}, "Env": {"LAST": "two"}},
    {"Name": "two", "Config": {"command": "/bin/two", "args": ["first", "two", ["a-one", "a-two"]]}, "Env": {"LAST": "two"}}]},
  {"Name": "g-b", "Tasks": [{"Name": "three", "Config": {"args": ["second", "three", ["b-three"]]}, "Env": {"LAST": "three"}}]}]}`},

		"blocks that only a driver knows": {`
job "x" {
  group "g" {
    scaling {
      max = 3
      policy {
        check "load" {
          strategy "target" {
            target = 70
          }
        }
      }
    }
    dynamic "task" {
      for_each = ["a"]
      labels   = [task.value]
      content {
        driver = "docker"
        config {
          logging "json" {
            opts = { from = task.value }
          }
          mount {
            source = "one"
          }
          mount {
            source = "${task.value}-${task.key}"
          }
          dynamic "port" {
            for_each = [task.value]
            content {
              static = 1
            }
          }
        }
        scaling "cpu" {
          max = 4
        }
      }
    }
  }
}`, `{"TaskGroups": [{
  "Scaling": {"Type": "horizontal", "Policy": {"check": [{"load": [{"strategy": [{"target": [{"target": 70}]}]}]}]}},
  "Tasks": [{"ScalingPolicies": [{"Type": "vertical_cpu", "Max": 4}], "Config": {
    "logging": [{"json": [{"opts": [{"from": "a"}]}]}], "mount": [{"source": "one"}, {"source": "a-0"}],
    "dynamic": [{"port": [{"for_each": ["a"], "content": [{"static": 1}]}]}]}}]}]}`},

		"identities with and without a name": {`
job "x" {
  group "g" {
    task "t" {
      driver = "exec"
      identity {
        name = "cloud"
        aud  = ["sts"]
        ttl  = "1h"
      }
      identity {
        env  = true
        file = true
      }
    }
    task "named" {
      driver = "exec"
      identity {
        name = "default"
        env  = true
      }
    }
    task "none" {
      driver = "exec"
    }
  }
}`, `{"TaskGroups": [{"Tasks": [
  {"Identity": {"Name": "", "Env": true, "File": true}, "Identities": [{"Name": "cloud", "Audience": ["sts"], "TTL": 3600000000000}]},
  {"Identity": {"Name": "default", "Env": true}}, {"Name": "none", "Identity": null, "Identities": null}]}]}`},

		"what vault, scaling and templates leave out": {`
job "x" {
  vault {
    policies = ["p"]
  }
  group "g" {
    scaling {
      min = 1
      max = 3
    }
    task "t" {
      driver = "exec"
      template {
        data        = "x"
        destination = "local/x"
      }
    }
  }
}`, `{"TaskGroups": [{"Scaling": {"Type": "horizontal", "Min": 1, "Max": 3}, "Tasks": [{
  "Vault": {"Policies": ["p"], "Env": true, "DisableFile": false, "ChangeMode": "restart"},
  "Templates": [{"Perms": "0644", "ChangeMode": "restart", "Splay": 5000000000}]}]}]}`},

		"functions": {`
locals {
  read = yamldecode("a: 1\nb: [x, \"y\"]\nc: {d: true}\n")
}

job "x" {
  meta {
    cidrhost    = cidrhost("10.0.0.0/8", 5)
    cidrlast    = cidrhost("10.0.0.0/24", -2)
    cidrnetmask = cidrnetmask("10.0.0.0/12")
    cidrsubnet  = cidrsubnet("fd00:fd12:3456:7890::/56", 16, 162)
    cidrsubnets = join(" ", cidrsubnets("10.1.0.0/16", 4, 4, 8))
    uuidv5      = uuidv5("dns", "www.example.com")
    uuidv5url   = uuidv5("url", "https://example.com/a")
    uuidv4      = strlen(regex_replace(uuidv4(), "[0-9a-f-]", ""))
    yaml        = "${local.read.a} ${local.read.b[1]} ${local.read.c.d}"
    yamlencode  = yamlencode({ a = 1, b = ["x", true, null], c = "d: e" })
    bcrypt      = substr(bcrypt("secret", 4), 0, 7)
    sha256      = sha256("a")
    urlencode   = urlencode("a b/ä&")
    base64      = base64decode(base64encode("äö"))
  }
  group "g" {
    task "t" {
      driver = "exec"
    }
  }
}`, `{"Meta": {"cidrhost": "10.0.0.5", "cidrlast": "10.0.0.254", "cidrnetmask": "255.240.0.0", "cidrsubnet": "fd00:fd12:3456:7800:a200::/72",
  "cidrsubnets": "10.1.0.0/20 10.1.16.0/20 10.1.32.0/24", "uuidv5": "2ed6657d-e927-568b-95e1-2665a8aea6a2",
  "uuidv5url": "6639460f-3425-5329-8097-a58f06127860", "uuidv4": "0", "yaml": "1 y true",
  "yamlencode": "\"a\": 1\n\"b\":\n- \"x\"\n- true\n- null\n\"c\": \"d: e\"\n", "bcrypt": "$2a$04$",
  "sha256": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb", "urlencode": "a+b%2F%C3%A4%26", "base64": "äö"}}`},
	}
}

// testParsedCases compares each file's job with what it should hold.
func testParsedCases(t *testing.T, b *bench) {
	for name, c := range parsedCases() {
		var want any
		if err := json.Unmarshal([]byte(c.want), &want); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := decode[any](b, b.raw("POST", "/v1/jobs/parse", map[string]any{"JobHCL": c.hcl}))
		for _, d := range lacking("", want, got) {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// lacking says what of want is not in got: objects may have more keys, lists may not have more elements.
func lacking(path string, want, got any) []string {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			break
		}
		var out []string
		for key, v := range w {
			out = append(out, lacking(path+"."+key, v, g[key])...)
		}
		return out
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			break
		}
		var out []string
		for i, v := range w {
			out = append(out, lacking(fmt.Sprintf("%s[%d]", path, i), v, g[i])...)
		}
		return out
	case nil:
		if g, ok := got.([]any); ok && len(g) == 0 {
			return nil // a list without elements, as agents write it or not
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		return []string{path + ": " + d}
	}
	return nil
}
