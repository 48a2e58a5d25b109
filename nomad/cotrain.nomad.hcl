# CoTrain's console as a service job of Nomad. It holds no secret: Nomad, Vault and Consul know it by its workload identity.
#
#   cotrain cluster setup --service-job      # namespace, policies for the job, its role in Vault
#   nomad job run -var image=registry.example/cotrain:1.0 -var public_url=https://train.example.com nomad/cotrain.nomad.hcl
#
# Its namespace is not one of runs: who may submit jobs there has the console's rights. What varies is a variable, for -var and for
# Terraform's hcl2 vars; this file has no placeholders.
#
# With SQLite there is one console, on the node that has its data: an update stops it before it starts the new one, and runs do
# not notice. With PostgreSQL (COTRAIN_DATABASE_URL in env) an update starts the new one first, with canaries = 1.

variable "namespace" {
  description = "Namespace of this job, for nothing else."
  type        = string
  default     = "cotrain"
}

variable "runs_namespace" {
  description = "Namespace of runs whose project has none of its own."
  type        = string
  default     = "default"
}

variable "datacenters" {
  type    = list(string)
  default = ["*"]
}

variable "node_pool" {
  description = "Pool of nodes that need no GPUs."
  type        = string
  default     = "default"
}

variable "image" {
  description = "Image with the program, for docker."
  type        = string
  default     = ""
}

variable "driver" {
  description = "docker, or exec for a program that is on the node."
  type        = string
  default     = "docker"
}

variable "command" {
  description = "Where the program is, in the image or on the node."
  type        = string
  default     = "/usr/local/bin/cotrain"
}

variable "user" {
  description = "User on the node or in the image, not root."
  type        = string
  default     = "nobody"
}

variable "port" {
  description = "Port on the node, where a proxy or people find the console; 0 for any."
  type        = number
  default     = 8080
}

variable "public_url" {
  description = "Where browsers find the console."
  type        = string
}

variable "env" {
  description = "More of the console's settings: COTRAIN_DATABASE_URL, COTRAIN_JOB_DRIVER, COTRAIN_PROXY_TRUSTED, ... Secrets as vault: references."
  type        = map(string)
  default     = {}
}

variable "data_volume" {
  description = "Host volume for the console's data: with SQLite all of it, with PostgreSQL the archive of logs. It belongs to user."
  type        = string
  default     = "cotrain-data"
}

variable "storage_volume" {
  description = "Host volume with the storage that runs share, for the page Storage; \"\" without."
  type        = string
  default     = ""
}

variable "replicas" {
  description = "1 with SQLite."
  type        = number
  default     = 1
}

variable "canaries" {
  description = "New consoles that must work before an old one ends; 0 with SQLite."
  type        = number
  default     = 0
}

variable "vault_address" {
  description = "URL of Vault, \"\" without."
  type        = string
  default     = ""
}

variable "vault_mount" {
  description = "Where Vault's JWT method for Nomad is."
  type        = string
  default     = "jwt-nomad"
}

variable "consul" {
  description = "Log in at Consul, for consul:// addresses and registration by the console."
  type        = bool
  default     = false
}

variable "service_provider" {
  description = "Where Nomad registers the console: nomad or consul."
  type        = string
  default     = "nomad"
}

variable "service_tags" {
  description = "Tags for a proxy such as Traefik or Fabio."
  type        = list(string)
  default     = []
}

variable "cpu" {
  type    = number
  default = 500
}

variable "memory" {
  type    = number
  default = 512
}

job "cotrain" {
  namespace   = var.namespace
  datacenters = var.datacenters
  node_pool   = var.node_pool
  type        = "service"
  priority    = 70 # it must run for the others to be followed

  group "console" {
    count          = var.replicas
    shutdown_delay = "2s" # for proxies to notice

    update {
      max_parallel      = 1
      canary            = var.canaries
      auto_promote      = var.canaries > 0
      health_check      = "checks"
      min_healthy_time  = "10s"
      healthy_deadline  = "3m"
      progress_deadline = "10m"
      auto_revert       = true
    }

    # It goes on where it was: runs are in Nomad and the store, so that a restart loses nothing.
    restart {
      attempts = 5
      interval = "5m"
      delay    = "5s"
      mode     = "delay"
    }

    # Two consoles must never have one SQLite: while its node is away, no other starts.
    disconnect {
      lost_after = "24h"
      replace    = var.replicas > 1
      reconcile  = "keep_original"
    }

    network {
      mode = "host"
      port "http" {
        static = var.port
      }
    }

    volume "data" {
      type   = "host"
      source = var.data_volume
    }

    dynamic "volume" {
      for_each = var.storage_volume != "" ? [1] : []
      labels   = ["storage"]
      content {
        type   = "host"
        source = var.storage_volume
      }
    }

    service {
      name     = "cotrain"
      provider = var.service_provider
      port     = "http"
      tags     = var.service_tags

      # That it answers, not that Nomad does: people can read their runs while the cluster is away.
      check {
        type     = "http"
        path     = "/healthz"
        interval = "10s"
        timeout  = "5s"
      }
    }

    task "console" {
      driver       = var.driver
      user         = var.user
      kill_signal  = "SIGTERM"
      kill_timeout = "30s"

      # The task API: Nomad itself, behind a socket that knows this task.
      identity {
        env = true # NOMAD_TOKEN
      }

      dynamic "identity" {
        for_each = var.vault_address != "" ? [1] : []
        content {
          name        = "vault"
          aud         = ["vault.io"]
          file        = true
          ttl         = "1h"
          change_mode = "noop" # read at each log-in
        }
      }

      dynamic "consul" {
        for_each = var.consul ? [1] : []
        content {}
      }

      dynamic "config" {
        for_each = var.driver == "docker" ? [1] : []
        content {
          image        = var.image
          network_mode = "host"
          entrypoint   = [var.command]
          args         = local.args
        }
      }
      dynamic "config" {
        for_each = var.driver == "docker" ? [] : [1]
        content {
          command = var.command
          args    = local.args
        }
      }

      volume_mount {
        volume      = "data"
        destination = "/var/lib/cotrain"
      }

      dynamic "volume_mount" {
        for_each = var.storage_volume != "" ? [1] : []
        content {
          volume      = "storage"
          destination = "/srv/cotrain"
        }
      }

      env = merge({
        NOMAD_ADDR         = "unix://${NOMAD_SECRETS_DIR}/api.sock"
        COTRAIN_LISTEN     = "0.0.0.0:${NOMAD_PORT_http}"
        COTRAIN_PUBLIC_URL = var.public_url
        COTRAIN_DATA_DIR   = "/var/lib/cotrain"
        }, var.vault_address == "" ? {} : {
        VAULT_ADDR               = var.vault_address
        COTRAIN_VAULT_AUTH       = "jwt"
        COTRAIN_VAULT_AUTH_MOUNT = var.vault_mount
        COTRAIN_VAULT_ROLE       = "cotrain-console"
        COTRAIN_VAULT_JWT_FILE   = "${NOMAD_SECRETS_DIR}/nomad_vault.jwt"
        }, var.storage_volume == "" ? {} : {
        COTRAIN_STORAGE_PATH   = "/srv/cotrain"
        COTRAIN_STORAGE_VOLUME = var.storage_volume
      }, var.env)

      resources {
        cpu    = var.cpu
        memory = var.memory
      }
    }
  }
}

locals {
  # Nomad sets NOMAD_NAMESPACE to that of this job; runs have another.
  args = ["server", "--nomad-namespace", var.runs_namespace]
}
