variable "cluster" {
  description = "The cluster to join, as other sites reach it: addresses of the servers, and peers as user@host from where Terraform runs."
  type = object({
    name    = optional(string, "cotrain")
    region  = optional(string, "global")
    servers = list(string)
    peers   = optional(list(string), [])
    ready   = optional(list(string), [])
  })
}

variable "name" {
  description = "Name of the site: Nomad's datacenter of its nodes, what a run's option site takes."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", var.name))
    error_message = "A site has lower case letters, digits and hyphens."
  }
}

variable "zone" {
  description = "Zone within the site, where machines do not say another."
  type        = string
  default     = ""
}

variable "node_pool" {
  description = "Node pool of its nodes."
  type        = string
  default     = "default"
}

variable "machines" {
  description = "Its nodes that are reached by ssh, by name: address is the one at which nodes of other sites reach it. Empty for nodes of a cloud, which run the output script."
  type = map(object({
    address    = string
    ssh_host   = optional(string)
    zone       = optional(string)
    generation = optional(number, 1)
  }))
  default = {}
}

variable "ranges" {
  description = "Address ranges that the rest of the cluster sees its nodes come from, such as the address of its gateway."
  type        = list(string)

  validation {
    condition     = length(var.ranges) > 0 && alltrue([for range in var.ranges : can(cidrhost(range, 0)) && !endswith(range, "/0")])
    error_message = "Ranges are like 203.0.113.7/32, and not the whole Internet."
  }
}

variable "other_ranges" {
  description = "Address ranges of the nodes of other sites, whose workers talk to those of this one."
  type        = list(string)
  default     = []
}

variable "operators" {
  description = "Address ranges from which people administer its machines by ssh."
  type        = list(string)
  default     = []
}

variable "firewall" {
  description = "True to have nftables on its machines let in only what is needed: for machines without a firewall around them."
  type        = bool
  default     = false
}

variable "package" {
  description = "Nomad's package, with =version to pin it; empty if the image has it. Nodes are never newer than the servers."
  type        = string
}

variable "gpu_packages" {
  description = "NVIDIA's driver, container toolkit and Nomad's device plugin; empty if the image has them."
  type        = list(string)
}

variable "container_packages" {
  description = "Docker; empty if the image has it, or workers run as processes."
  type        = list(string)
  default     = ["docker.io"]
}

variable "packages" {
  description = "More packages, such as the client of a cloud's secret store."
  type        = list(string)
  default     = []
}

variable "repositories" {
  description = "Package repositories near the site, beside the distribution's; see module machine."
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
  description = "Shell command for nodes with an identity in a cloud; see gpu-clients. Without it keys come by ssh."
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
}

variable "vault_address" {
  description = "URL of Vault as the site reaches it; empty without."
  type        = string
  default     = ""
}

variable "storage" {
  description = "Host volume that workers of the site share."
  type = object({
    volume = optional(string, "cotrain")
    path   = optional(string, "/srv/cotrain")
  })
  default = {}
}

variable "max_kill_timeout" {
  description = "Longest time for a last checkpoint."
  type        = string
  default     = "5m"
}

variable "raw_exec" {
  description = "True where workers run as processes of the node."
  type        = bool
  default     = false
}

variable "drain" {
  description = "Seconds before a node leaves: see gpu-clients."
  type = object({
    deadline = optional(number, 10)
    save     = optional(number, 300)
  })
  default = {}
}
