# A server of Nomad. Beside it, in the same folder: gossip.hcl, and vault.hcl and consul.hcl where there are such.
#
# region            region, "global" for most
# datacenter        datacenter, which CoTrain calls a site
# data_dir          where the agent keeps its state, such as /opt/nomad/data
# address           address that other agents and the console reach it at, or {{ GetPrivateIP }}
# tls_dir           folder with ca.pem, server.pem and server-key.pem; the certificate is for server.<region>.nomad and localhost
# bootstrap_expect  number of servers of the region: 3 or 5, 1 to try it out
# retry_join        list of the servers' addresses

region     = "${region}"
datacenter = "${datacenter}"
data_dir   = "${data_dir}"
bind_addr  = "0.0.0.0"

advertise {
  http = "${address}"
  rpc  = "${address}"
  serf = "${address}"
}

server {
  enabled          = true
  bootstrap_expect = ${bootstrap_expect}

  server_join {
    retry_join = ${retry_join}
  }

  # A node that trains hard answers late. After this it is down, and its workers are "unknown".
  heartbeat_grace = "30s"

  # CoTrain archives logs and reads how runs ended while the jobs are there. A console that was away for a night catches up.
  job_gc_threshold        = "24h"
  batch_eval_gc_threshold = "24h"
  eval_gc_threshold       = "24h"
}

# Every right is asked for, from the first minute: nomad acl bootstrap, once.
acl {
  enabled = true
}

# Agents talk to each other by mutual TLS only. The API asks no client for a certificate, since Vault and Consul, which fetch the keys
# of workload identities from it, could not show one; tokens say who asks.
tls {
  http = true
  rpc  = true

  ca_file   = "${tls_dir}/ca.pem"
  cert_file = "${tls_dir}/server.pem"
  key_file  = "${tls_dir}/server-key.pem"

  verify_server_hostname = true
  verify_https_client    = false
}

telemetry {
  prometheus_metrics         = true
  disable_hostname           = true
  publish_node_metrics       = true
  publish_allocation_metrics = true
}
