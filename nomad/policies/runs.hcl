# cotrain-runs: runs read the secrets of their namespace. It is for no token: attach it to the workloads of the namespace, in each
# as cotrain-runs-<namespace> but in the console's own. All jobs there have it, since Nomad attaches a policy to one job, by its whole
# name, or to all.
#
# namespace  the namespace

namespace "${namespace}" {
  variables {
    path "cotrain/*" {
      capabilities = ["read"]
    }
  }
}
