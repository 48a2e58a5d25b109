# cotrain-console: what the console does in its namespace, and with nodes. It parses, registers, plans, stops and purges jobs (submit-job covers
# all of that), dispatches them, and reads logs as files (read-fs covers both); it kills workers that do not end (alloc-lifecycle).
#
# namespace  the console's namespace; further ones have project.hcl

namespace "${namespace}" {
  capabilities = ["list-jobs", "read-job", "submit-job", "dispatch-job", "read-fs", "alloc-lifecycle"]

  # That a run's secret exists, never what it is.
  variables {
    path "cotrain/*" {
      capabilities = ["list"]
    }
  }
}

# Nodes with their devices, statistics and events.
node {
  policy = "read"
}

# That a project's pool exists.
node_pool "*" {
  policy = "read"
}
