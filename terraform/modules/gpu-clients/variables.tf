variable "cluster" {
  description = "The cluster to join: output cluster of nomad-servers, or its values written down for servers that another root has. peers are the servers as user@host, for joining by ssh."
  type = object({
    name    = optional(string, "cotrain")
    region  = optional(string, "global")
    servers = list(string)
    peers   = optional(list(string), [])
    ready   = optional(list(string), [])
  })

  validation {
    condition     = length(var.cluster.servers) > 0
    error_message = "A node needs the address of a server."
  }
}

variable "site" {
  description = "Site of the nodes, which is Nomad's datacenter: nodes that are near each other."
  type        = string
  default     = "dc1"

  validation {
    condition     = can(regex("^[a-z0-9-]+$", var.site))
    error_message = "A site has lower case letters, digits and hyphens."
  }
}

variable "zone" {
  description = "Rack, room or zone within the site."
  type        = string
  default     = ""
}

variable "node_pool" {
  description = "Node pool; the console's setting job.node_pool."
  type        = string
  default     = "default"
}

variable "machines" {
  description = "Nodes that are reached by ssh, by name; empty for nodes of a cloud, which run the output script. Raise generation when a machine was installed anew."
  type = map(object({
    address    = string
    ssh_host   = optional(string)
    zone       = optional(string)
    generation = optional(number, 1)
  }))
  default = {}
}

variable "parts" {
  description = "What the nodes are beside Nomad: output client of module consul, by the name of the machine, and { \"\" = part } for all."
  type = list(map(object({
    roles    = optional(list(string), [])
    packages = optional(list(string), [])
    files    = optional(map(string), {})
    settings = optional(map(string), {})
  })))
  default = []
}

variable "package" {
  description = "Nomad's package, with =version to pin it; empty if the image has it."
  type        = string

  validation {
    condition     = var.package == "" || can(regex("^[a-z0-9.+-]+(=[A-Za-z0-9.+:~-]+)?$", var.package))
    error_message = "A package is NAME or NAME=VERSION."
  }
}

variable "gpu_packages" {
  description = "NVIDIA's driver, container toolkit and Nomad's device plugin, with =version to pin them; empty if the image has them, or there are no GPUs."
  type        = list(string)
}

variable "container_packages" {
  description = "Docker; empty if the image has it, or workers run as processes."
  type        = list(string)
  default     = ["docker.io"]
}

variable "packages" {
  description = "More packages, such as the client of a cloud's secret store, or of a file system that workers share."
  type        = list(string)
  default     = []
}

variable "repositories" {
  description = "Package repositories beside the distribution's; see module machine."
  type = list(object({
    name       = string
    uri        = string
    suite      = string
    components = optional(list(string), ["main"])
    key        = string
  }))
  default = []
}

variable "keys_get" {
  description = "Shell command for nodes with an identity in a cloud: prints what the servers' keys.nodes_put stored. Without it keys come by ssh."
  type        = string
  default     = ""
}

variable "ssh" {
  description = "How Terraform reaches the machines with OpenSSH's client; null if they run their script by themselves."
  type = object({
    user    = optional(string, "root")
    port    = optional(number, 22)
    options = optional(list(string), [])
  })
  default = null

  validation {
    condition     = var.ssh != null || length(var.machines) == 0
    error_message = "Named machines are reached by ssh: set ssh. Nodes of a cloud have no names here."
  }
}

variable "vault_address" {
  description = "URL of Vault, from which jobs have secrets; empty without."
  type        = string
  default     = ""
}

variable "consul" {
  description = "True where the machines have a Consul agent, in which Nomad then registers itself."
  type        = bool
  default     = false
}

variable "storage" {
  description = "Host volume that workers share: its name, the console's setting storage.volume, and where the nodes have it mounted."
  type = object({
    volume = optional(string, "cotrain")
    path   = optional(string, "/srv/cotrain")
  })
  default = {}
}

variable "data_dir" {
  description = "Folder of Nomad's state and allocations."
  type        = string
  default     = "/opt/nomad/data"
}

variable "max_kill_timeout" {
  description = "Longest time for a last checkpoint; at least the console's job.kill_timeout."
  type        = string
  default     = "5m"

  validation {
    condition     = can(regex("^[0-9]+[smh]$", var.max_kill_timeout))
    error_message = "A time like 90s, 5m or 1h."
  }
}

variable "raw_exec" {
  description = "True where workers run as processes of the node, without a container: they then see all of it."
  type        = bool
  default     = false
}

variable "drain" {
  description = "Before a node leaves: seconds in which workers may still finish, and after those, seconds for their last checkpoints. A cloud that takes nodes back says how many seconds there are in all."
  type = object({
    deadline = optional(number, 10)
    save     = optional(number, 300)
  })
  default = {}

  validation {
    condition     = var.drain.deadline > 0 && var.drain.save > 0
    error_message = "Both are at least a second: Nomad takes 0 for no end."
  }
}

variable "interruption" {
  description = "For clouds that announce the end of a machine elsewhere than by shutting it down: a shell command that succeeds once it is near, and one to run when the node is drained."
  type = object({
    command = string
    drained = optional(string, "")
  })
  default = { command = "" }
}
