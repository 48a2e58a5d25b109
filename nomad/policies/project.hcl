# cotrain-console-<namespace>: what the console does in a further namespace, which a project has; the same as in its own.
#
# namespace  the namespace

namespace "${namespace}" {
  capabilities = ["list-jobs", "read-job", "submit-job", "dispatch-job", "read-fs", "alloc-lifecycle"]

  # That a run's secret exists, never what it is.
  variables {
    path "cotrain/*" {
      capabilities = ["list"]
    }
  }
}
