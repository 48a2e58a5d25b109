variable "cluster" {
  description = "Name of the cluster."
  type        = string
  default     = "cotrain"
}

variable "region" {
  description = "Nomad's region."
  type        = string
  default     = "global"

  validation {
    condition     = can(regex("^[a-z0-9-]+$", var.region))
    error_message = "A region has lower case letters, digits and hyphens: it is in the names of certificates."
  }
}

variable "datacenter" {
  description = "Nomad's datacenter of the servers, which CoTrain calls a site."
  type        = string
  default     = "dc1"
}

variable "machines" {
  description = "The servers by name: 3 or 5, 1 to try it out. ssh_host is where Terraform reaches one, its address unless given; raise generation when a machine was installed anew."
  type = map(object({
    address    = string
    ssh_host   = optional(string)
    generation = optional(number, 1)
  }))

  validation {
    condition     = length(var.machines) % 2 == 1
    error_message = "An odd number of servers: an even one tolerates no more failures than one less."
  }
}

variable "first" {
  description = "Server that makes the keys of a new cluster; the first by name unless given."
  type        = string
  default     = null

  validation {
    condition     = var.first == null || contains(keys(var.machines), coalesce(var.first, "-"))
    error_message = "The first server is one of machines."
  }
}

variable "parts" {
  description = "What the servers are beside Nomad: output server of the modules consul and vault, by the name of the machine, and { \"\" = part } for all."
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

variable "packages" {
  description = "More packages, such as the client of a cloud's secret store."
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

variable "keys" {
  description = "Shell commands for machines with an identity in a cloud: get and put for the servers' keys, nodes_put for those with which nodes join, renewed each ten minutes. Without them keys go by ssh."
  type = object({
    get       = optional(string, "")
    put       = optional(string, "")
    nodes_put = optional(string, "")
  })
  default = {}
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
  description = "URL of Vault, from which jobs have secrets; empty without."
  type        = string
  default     = ""
}

variable "consul" {
  description = "True where the machines have a Consul agent, in which Nomad then registers itself."
  type        = bool
  default     = false
}

variable "introduction" {
  description = "What happens to a node that joins without an introduction token: strict refuses it, warn logs it. Nomad 1.11 or newer; none for an older one."
  type        = string
  default     = "strict"

  validation {
    condition     = contains(["strict", "warn", "none"], var.introduction)
    error_message = "It is strict, warn or none."
  }
}

variable "introduction_ttl" {
  description = "How long what admits a node is good for."
  type        = string
  default     = "30m"

  validation {
    condition     = can(regex("^[0-9]+[ms]$", var.introduction_ttl))
    error_message = "A time like 30m."
  }
}

variable "certificate_days" {
  description = "How long certificates of nodes last. Nodes in a cloud renew theirs; those that are reached by ssh get new ones when generation is raised."
  type        = number
  default     = 365
}

variable "node_pool" {
  description = "Pool of nodes that join by the secret store."
  type        = string
  default     = "default"
}

variable "data_dir" {
  description = "Folder of Nomad's state on the machines."
  type        = string
  default     = "/opt/nomad/data"
}
