# A node with GPUs. It needs NVIDIA's driver, and Nomad's NVIDIA device plugin in plugin_dir. Beside it, in the same folder: vault.hcl
# and consul.hcl where there are such.
#
# region            region, "global" for most
# datacenter        datacenter, which CoTrain calls a site: nodes that are near each other
# zone              rack, room or zone within it
# node_pool         node pool, "default" for most; the console's setting job.node_pool
# data_dir          where the agent keeps its state and its allocations, such as /opt/nomad/data: logs and checkpoints need room
# plugin_dir        folder with nomad-device-nvidia
# address           address that other agents and workers reach it at, or {{ GetPrivateIP }}
# tls_dir           folder with ca.pem, client.pem and client-key.pem; the certificate is for client.<region>.nomad and localhost
# retry_join        list of the servers' addresses
# max_kill_timeout  longest time for a last checkpoint; at least the console's job.kill_timeout, 60s unless set
# storage_volume    name of the host volume that workers share; the console's setting storage.volume
# storage_path      where the node has it mounted
# raw_exec          true where workers run as processes of the node, without a container: they then see all of it

region     = "${region}"
datacenter = "${datacenter}"
data_dir   = "${data_dir}"
plugin_dir = "${plugin_dir}"
bind_addr  = "0.0.0.0"

advertise {
  http = "${address}"
  rpc  = "${address}"
  serf = "${address}"
}

client {
  enabled   = true
  node_pool = "${node_pool}"

  server_join {
    retry_join = ${retry_join}
  }

  # 30 s unless set, whatever a job asks for: too short to save a large model.
  max_kill_timeout = "${max_kill_timeout}"

  host_volume "${storage_volume}" {
    path      = "${storage_path}"
    read_only = false
  }

  meta {
    site = "${datacenter}"
    zone = "${zone}"

    # Nomad tells nobody a client's max_kill_timeout: this is how "cotrain cluster check" knows.
    cotrain_max_kill_timeout = "${max_kill_timeout}"
  }

  # Folders of ended allocations stay until CoTrain has read their logs to the end: by default Nomad keeps 50, and none on a disk that is
  # 80 % full. Give data_dir room.
  gc_max_allocs            = 500
  gc_disk_usage_threshold  = 95
  gc_inode_usage_threshold = 95

  # What a job's template could read from the node with these is none of its business.
  template {
    disable_file_sandbox = false
    function_denylist    = ["plugin", "writeToFile", "executeTemplate"]

    # Workers watch where worker 0 is. With a limit Nomad would kill them when its servers are away for about five minutes; 0 is none.
    nomad_retry {
      attempts = 0
    }
  }
}

plugin "nomad-device-nvidia" {
  config {
    enabled            = true
    fingerprint_period = "1m"
  }
}

plugin "docker" {
  config {
    allow_runtimes   = ["runc", "nvidia"]
    allow_privileged = false

    volumes {
      enabled = true # job.volumes, and shared storage without a host volume
    }

    gc {
      image_delay = "24h" # a CotrainCore image has gigabytes
    }
  }
}

plugin "raw_exec" {
  config {
    enabled = ${raw_exec}
  }
}

acl {
  enabled = true
}

# Agents talk to each other by mutual TLS only.
tls {
  http = true
  rpc  = true

  ca_file   = "${tls_dir}/ca.pem"
  cert_file = "${tls_dir}/client.pem"
  key_file  = "${tls_dir}/client-key.pem"

  verify_server_hostname = true
  verify_https_client    = false
}

telemetry {
  prometheus_metrics         = true
  disable_hostname           = true
  publish_node_metrics       = true
  publish_allocation_metrics = true
}
