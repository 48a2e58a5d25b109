# The parameterized job behind every CotrainCore run.
#
# CoTrain sends this file with the variables below to /v1/jobs/parse, registers the result as
# "cotrain-core-<hash of the shape>", and dispatches it once for each attempt of a run, with the run's TOML as
# the payload. Edit it for your site: mounts, constraints, networks, drivers. A changed file makes a new version of the
# parent at the next dispatch; running attempts are untouched. A file that does not parse is not used: the console says
# so, and runs start with the version before it. Names that CoTrain relies on, and that must stay:
# the meta keys, the group "workers", the task "trainer" and the variables.
#
# After a failure of hardware CoTrain adds constraints to what it sends, one for each node that the run avoids (node.unique.id).
#
# Functions that read files are off on the server, so the scripts arrive as variables.

variable "job_id" { type = string }

variable "nodes" {
  description = "Workers of the run, one allocation each."
  type        = number
}

variable "gpus" {
  description = "GPUs for each worker; 0 asks for none."
  type        = number
  default     = 0
}

variable "gpu_device" {
  description = "Device to ask for: a type (\"gpu\"), vendor/type, or vendor/type/name as the device plugin reports it."
  type        = string
  default     = "gpu"
}

variable "gpu_model" {
  description = "Exact name of the model when gpu_device does not say it; \"\" for any."
  type        = string
  default     = ""
}

variable "gpu_min_memory" {
  description = "Memory that each GPU must have, MiB; 0 for any."
  type        = number
  default     = 0
}

variable "cpu" {
  description = "MHz for each worker."
  type        = number
}

variable "memory" {
  description = "MiB for each worker."
  type        = number
}

variable "driver" {
  description = "raw_exec or exec for a trainer installed on the node, docker or podman for an image."
  type        = string
  default     = "raw_exec"
}

variable "image" {
  description = "Container image, for docker and podman."
  type        = string
  default     = ""
}

variable "volumes" {
  description = "Mounts for docker and podman, host:container[:ro]."
  type        = list(string)
  default     = []
}

variable "shm_mb" {
  description = "Shared memory of a docker container, MiB: PyTorch's data loaders pass batches through it."
  type        = number
  default     = 8192
}

variable "command" {
  description = "What to execute, before @config.toml; empty for torchrun with the trainer below."
  type        = list(string)
  default     = []
}

variable "trainer" {
  description = "Python file that torchrun starts, relative to work_dir."
  type        = string
  default     = "src/zeroband/train.py"
}

variable "work_dir" {
  description = "The trainer's directory, on the node or in the image. It starts there unless there is shared storage; \"\" for the task's own."
  type        = string
  default     = ""
}

variable "interface" {
  description = "Network interface between the workers (GLOO_SOCKET_IFNAME); \"\" leaves the choice to the trainer."
  type        = string
  default     = ""
}

variable "env" {
  description = "More environment for the trainer. Names that begin with ZERO_BAND_ override its configuration."
  type        = map(string)
  default     = {}
}

variable "datacenters" {
  type    = list(string)
  default = ["*"]
}

variable "site" {
  description = "The datacenter that all workers must be in; \"\" for any of datacenters."
  type        = string
  default     = ""
}

variable "storage" {
  description = "Folder that all workers share, as the trainer sees it: relative paths of a configuration begin there. Containers get it mounted at the same path."
  type        = string
  default     = ""
}

variable "storage_volume" {
  description = "Nomad host volume that holds it; workers run only where it is. \"\" for a folder at the same path on every node."
  type        = string
  default     = ""
}

variable "storage_folder" {
  description = "Folder of the run's project below storage; relative paths begin there, and containers get it alone unless storage is a volume. \"\" for all of storage."
  type        = string
  default     = ""
}

variable "vault" {
  description = "Whether the task logs in to Vault, for secrets that are there. It needs Nomad 1.10.2 or newer."
  type        = bool
  default     = false
}

variable "vault_role" {
  description = "Role of that log-in; \"\" for the one of the node's configuration (create_from_role), or of the JWT method (default_role)."
  type        = string
  default     = ""
}

variable "node_pool" {
  type    = string
  default = "default"
}

variable "priority" {
  type    = number
  default = 50
}

variable "kill_timeout" {
  description = "Time between SIGTERM and SIGKILL: long enough to save a checkpoint. Clients cap it (max_kill_timeout, 30s unless set)."
  type        = string
  default     = "30s"
}

variable "lost_after" {
  description = "How long a worker on a node that is away may come back. After that Nomad starts another one in its place."
  type        = string
  default     = "8760h"
}

variable "rendezvous_timeout" {
  description = "Seconds that the launch script waits for worker 0's address."
  type        = number
  default     = 600
}

variable "log_files" {
  description = "Log files kept for each stream."
  type        = number
  default     = 10
}

variable "log_file_mb" {
  description = "Size of one log file, MiB. What is not archived by the time log_files are full is lost."
  type        = number
  default     = 10
}

variable "disk" {
  description = "Disk for the allocation, MiB: logs of both streams and the task's own files."
  type        = number
  default     = 300
}

variable "launch_script" {
  description = "Text of jobs/launch.sh."
  type        = string
}

variable "shim" {
  description = "Text of jobs/shim/wandb/__init__.py."
  type        = string
}

# The secrets that the run names, as a shell's exports. NOMAD_META_secrets holds a line for each: variable, source (nomad or vault),
# path and field, separated by tabs; without variable and field it is all that is at the path, under their own names. What is missing,
# or what no environment can hold, must not keep the task waiting: the launch script ends with the reasons.
#
# Of Nomad's variables, with ACLs, a job may read nomad/jobs and nomad/jobs/<job ID>; for other paths attach a policy to the namespace
# (nomad acl policy apply -namespace <ns> <name> <file>) that lets variables be read there. Without it, and for a path of Vault that does
# not exist or may not be read, Nomad tries for some minutes and then fails the task.
locals {
  secrets = <<EOT
{{ $bad := "" }}{{ range $line := sprig_splitList "\n" (env "NOMAD_META_secrets") }}{{ $ref := sprig_splitList "\t" $line }}{{ if eq (len $ref) 4 }}
{{- $env := index $ref 0 }}{{ $in := index $ref 1 }}{{ $path := index $ref 2 }}{{ $field := index $ref 3 }}{{ $items := "" }}{{ $is := printf "the Nomad variable %s" $path }}
{{- if eq $in "vault" }}{{ $is = printf "%s in Vault" $path }}
{{- with secret (urlquery $path | replaceAll "+" "%20") }}{{ $items = .Data }}{{ if and .Data.metadata (eq (printf "%T" .Data.data) "map[string]interface {}") }}{{ $items = .Data.data }}{{ end }}{{ end }}
{{- else if nomadVarExists $path }}{{ $items = nomadVar $path }}{{ else }}{{ $bad = printf "%s; %s does not exist, or this job may not read it" $bad $is }}{{ end }}
{{- if ne (printf "%T" $items) "string" }}{{ $found := false }}{{ range $name, $item := $items }}{{ if or (eq $field "") (eq $field $name) }}{{ $found = true }}
{{- $value := $item }}{{ if ne $in "vault" }}{{ $value = $item.Value }}{{ else if ne (printf "%T" $item) "string" }}{{ $value = toJSON $item }}{{ end }}
{{- if ne $env "" }}{{ $name = $env }}{{ end }}
{{- if or (not (regexMatch "^[A-Za-z_][A-Za-z0-9_]{0,127}$" $name)) (regexMatch "^(IFS|UID|EUID|PPID|ct_.*|NOMAD_.*|COTRAIN_.*)$" $name) }}{{ $bad = printf "%s; %.99q of %s cannot be the name of an environment variable" $bad $name $is }}
{{- else if or (gt (len $value) 130900) (regexMatch "\x00" $value) }}{{ $bad = printf "%s; %s of %s is too long for an environment variable (%d bytes), or has a zero byte" $bad $name $is (len $value) }}
{{- else }}
export {{ $name }}='{{ $value | replaceAll "'" "'\\''" }}'
{{- end }}{{ end }}{{ end }}{{ if not (or $found (eq $field "")) }}{{ $bad = printf "%s; %s has no field %s" $bad $is $field }}{{ end }}{{ end }}
{{- end }}{{ end }}
COTRAIN_SECRETS_MISSING='{{ trimPrefix "; " $bad | printf "%.9999s" | replaceAll "'" "'\\''" }}'
EOT
}

locals {
  storage = var.storage_folder == "" ? var.storage : "${var.storage}/${var.storage_folder}"
}

job "cotrain-core" {
  id          = var.job_id
  name        = var.job_id
  type        = "batch"
  datacenters = var.site != "" ? [var.site] : var.datacenters
  node_pool   = var.node_pool
  priority    = var.priority

  parameterized {
    payload       = "required"
    meta_required = ["run_id", "attempt"]
    # resume: checkpoint folder. env: KEY=VALUE lines. args: arguments, one a line. secrets: see local.secrets.
    # ckpt_path: where each DiLoCo worker makes a folder of its own.
    meta_optional = ["resume", "env", "args", "secrets", "ckpt_path"]
  }

  # Workers share nodes where they fit: a small cluster must be able to run a small DiLoCo mesh. A shape that takes all
  # GPUs of a node gets a node for each worker without being told. To force it, add
  # constraint { distinct_hosts = true } to the group.
  group "workers" {
    count = var.nodes

    # CoTrain decides about retries: it knows the cause, the newest checkpoint, and the other workers.
    restart {
      attempts = 0
      mode     = "fail"
    }
    reschedule {
      attempts  = 0
      unlimited = false
    }
    # Nomad replaces a batch allocation whose node is gone although attempts is 0, and with replace = false alone it does so
    # too. With a long lost_after the worker stays "unknown" and CoTrain decides: stop, retry, or wait for the node.
    disconnect {
      replace    = false
      lost_after = var.lost_after
    }

    # sticky: a worker that is replaced on its node finds there that it has trained before, and joins the mesh.
    ephemeral_disk {
      size   = var.disk
      sticky = true
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
      # Worker 0 listens here (GLOBAL_PORT). With several GPUs the trainer uses the ports that follow as well, one for
      # each local rank; Nomad does not reserve those.
      port "rdzv" {}
      # torchrun's own rendezvous on this node.
      port "local" {}
    }

    # The name belongs to one attempt, so that a registration left over from an earlier one is never found.
    service {
      name     = "rdzv-${NOMAD_META_run_id}-${NOMAD_META_attempt}"
      provider = "nomad"
      port     = "rdzv"
      tags     = ["rank-${NOMAD_ALLOC_INDEX}"]
    }

    task "trainer" {
      driver       = var.driver
      kill_signal  = "SIGTERM"
      kill_timeout = var.kill_timeout

      dynamic "config" {
        for_each = contains(["docker", "podman"], var.driver) ? [] : [1]
        content {
          command = "/bin/sh"
          args    = concat(["$${NOMAD_TASK_DIR}/launch.sh"], var.command)
        }
      }
      dynamic "config" {
        for_each = var.driver == "docker" ? [1] : []
        content {
          image        = var.image
          network_mode = "host"
          init         = true # process 1 would ignore SIGTERM
          shm_size     = var.shm_mb * 1048576
          volumes      = concat(var.volumes, var.storage != "" && var.storage_volume == "" ? ["${local.storage}:${local.storage}"] : [])
          entrypoint   = ["/bin/sh"]
          args         = concat(["$${NOMAD_TASK_DIR}/launch.sh"], var.command)
        }
      }
      dynamic "config" {
        for_each = var.driver == "podman" ? [1] : []
        content {
          image        = var.image
          network_mode = "host"
          init         = true
          volumes      = concat(var.volumes, var.storage != "" && var.storage_volume == "" ? ["${local.storage}:${local.storage}"] : [])
          entrypoint   = ["/bin/sh"]
          args         = concat(["$${NOMAD_TASK_DIR}/launch.sh"], var.command)
        }
      }

      # raw_exec sees the node's own files: there is nothing to mount.
      dynamic "volume_mount" {
        for_each = var.storage_volume != "" && var.driver != "raw_exec" ? [1] : []
        content {
          volume      = "storage"
          destination = var.storage
        }
      }

      env = merge({
        COTRAIN_NODES              = "${var.nodes}"
        COTRAIN_GPUS               = "${var.gpus}"
        COTRAIN_TRAINER            = var.trainer
        COTRAIN_WORK_DIR           = var.work_dir
        COTRAIN_INTERFACE          = var.interface
        COTRAIN_RENDEZVOUS_TIMEOUT = "${var.rendezvous_timeout}"
        COTRAIN_KILL_TIMEOUT       = var.kill_timeout
        PYTHONUNBUFFERED           = "1"
      }, var.storage != "" ? { COTRAIN_STORAGE = local.storage } : {}, var.env)

      dispatch_payload {
        file = "config.toml"
      }

      # Worker 0's "address port" once it has registered, empty until then. noop: a later change must never restart a
      # training process. Nomad kills it all the same when its servers are away for some minutes, unless the client's
      # template block has nomad_retry { attempts = 0 }: a worker alone needs none.
      dynamic "template" {
        for_each = var.nodes > 1 ? [1] : []
        content {
          destination = "local/worker0"
          change_mode = "noop"
          data        = <<EOT
{{ range nomadService (printf "rdzv-%s-%s" (env "NOMAD_META_run_id") (env "NOMAD_META_attempt")) }}{{ if .Tags | contains "rank-0" }}{{ .Address }} {{ .Port }}
{{ end }}{{ end }}
EOT
        }
      }

      # No token and no variables of Vault for the trainer, which may run foreign code. noop: a token that is replaced must not
      # restart a training process.
      dynamic "vault" {
        for_each = var.vault ? [1] : []
        content {
          role         = var.vault_role
          env          = false
          disable_file = true
          change_mode  = "noop"
        }
      }

      # Read by the launch script, as whatever user it runs. The node lets nobody else into a task's secrets.
      dynamic "template" {
        for_each = var.vault ? [] : [1]
        content {
          destination = "secrets/run.sh"
          change_mode = "noop"
          data        = local.secrets
        }
      }

      # once: Nomad would read Vault again every few minutes, and kill the task when that fails for a while. It is why there is no
      # env = true either: Nomad loses such variables where some templates are rendered once and others are not.
      dynamic "template" {
        for_each = var.vault ? [1] : []
        content {
          destination = "secrets/run.sh"
          change_mode = "noop"
          once        = true
          data        = local.secrets
        }
      }

      template {
        destination     = "local/launch.sh"
        perms           = "755"
        change_mode     = "noop"
        left_delimiter  = "<<<cotrain:"
        right_delimiter = ":cotrain>>>"
        data            = var.launch_script
      }

      template {
        destination     = "local/shim/wandb/__init__.py"
        change_mode     = "noop"
        left_delimiter  = "<<<cotrain:"
        right_delimiter = ":cotrain>>>"
        data            = var.shim
      }

      logs {
        max_files     = var.log_files
        max_file_size = var.log_file_mb
      }

      resources {
        cpu    = var.cpu
        memory = var.memory

        dynamic "device" {
          for_each = var.gpus > 0 ? [1] : []
          labels   = [var.gpu_device]
          content {
            count = var.gpus

            dynamic "constraint" {
              for_each = var.gpu_model != "" ? [1] : []
              content {
                attribute = "$${device.model}"
                value     = var.gpu_model
              }
            }
            dynamic "constraint" {
              for_each = var.gpu_min_memory > 0 ? [1] : []
              content {
                attribute = "$${device.attr.memory}"
                operator  = ">="
                value     = "${var.gpu_min_memory} MiB"
              }
            }
          }
        }
      }
    }
  }
}
