# The parameterized job that measures nodes and the network between them: cotrain cluster measure.
#
# CoTrain registers it as "cotrain-measure" for the nodes of a measurement, one allocation each, and dispatches it once. It runs the
# cotrain binary itself, which must be on the nodes, or in the image.

variable "job_id" { type = string }

variable "nodes" {
  description = "IDs of the nodes that take part."
  type        = list(string)
}

variable "driver" {
  description = "raw_exec or exec for a binary on the node, docker or podman for an image."
  type        = string
  default     = "raw_exec"
}

variable "image" {
  description = "Container image with the binary, for docker and podman."
  type        = string
  default     = ""
}

variable "command" {
  description = "The binary, with what comes before its command."
  type        = list(string)
  default     = ["cotrain"]
}

variable "storage" {
  description = "Folder that all workers share, measured too; \"\" for none."
  type        = string
  default     = ""
}

variable "storage_volume" {
  description = "Nomad host volume that holds it; \"\" for a folder at the same path on every node."
  type        = string
  default     = ""
}

locals {
  container = contains(["docker", "podman"], var.driver)
  # raw_exec sees the node's own files; a volume that is mounted nowhere cannot be measured.
  storage = var.driver == "raw_exec" || local.container || var.storage_volume != "" ? var.storage : ""
}

job "cotrain-measure" {
  id          = var.job_id
  name        = var.job_id
  type        = "batch"
  datacenters = ["*"]
  node_pool   = "all"

  parameterized {
    payload       = "required"
    meta_required = ["measurement", "token"]
  }

  constraint {
    attribute = "$${node.unique.id}"
    operator  = "regexp"
    value     = "^(${join("|", var.nodes)})$"
  }

  group "nodes" {
    count = length(var.nodes)

    constraint {
      distinct_hosts = true
    }

    # One that has failed is a result; a node that is gone is not waited for.
    restart {
      attempts = 0
      mode     = "fail"
    }
    reschedule {
      attempts  = 0
      unlimited = false
    }
    disconnect {
      replace    = false
      lost_after = "5m"
    }

    ephemeral_disk {
      size = 300
    }

    dynamic "volume" {
      for_each = var.storage_volume != "" ? [1] : []
      labels   = ["storage"]
      content {
        type   = "host"
        source = var.storage_volume
      }
    }

    network {
      mode = "host"
      port "measure" {}
    }

    service {
      name     = "measure-${NOMAD_META_measurement}"
      provider = "nomad"
      port     = "measure"
    }

    task "measure" {
      driver       = var.driver
      kill_signal  = "SIGTERM"
      kill_timeout = "5s"

      dynamic "config" {
        for_each = local.container ? [] : [1]
        content {
          command = var.command[0]
          args    = concat(slice(var.command, 1, length(var.command)), ["measure"])
        }
      }
      dynamic "config" {
        for_each = local.container ? [1] : []
        content {
          image        = var.image
          network_mode = "host"
          entrypoint   = [var.command[0]]
          args         = concat(slice(var.command, 1, length(var.command)), ["measure"])
          volumes      = local.storage != "" && var.storage_volume == "" ? ["${local.storage}:${local.storage}"] : []
        }
      }

      dynamic "volume_mount" {
        for_each = var.storage_volume != "" && var.driver != "raw_exec" ? [1] : []
        content {
          volume      = "storage"
          destination = var.storage
        }
      }

      env = {
        COTRAIN_NODE_ID = "$${node.unique.id}"
        COTRAIN_STORAGE = local.storage
      }

      dispatch_payload {
        file = "measure.json"
      }

      # Who has come, a line each. noop: the task looks itself.
      template {
        destination = "local/peers"
        change_mode = "noop"
        data        = <<EOT
{{ range nomadService (printf "measure-%s" (env "NOMAD_META_measurement")) }}{{ .Node }} {{ .Address }} {{ .Port }}
{{ end }}
EOT
      }

      logs {
        max_files     = 1
        max_file_size = 10
      }

      resources {
        cpu    = 100
        memory = 128
      }
    }
  }
}
