variable "servers" {
  description = "Servers by name: 3 or 5, 1 to try it out. ssh_host is where Terraform reaches one, its address unless given; raise generation when a machine was installed anew."
  type = map(object({
    address    = string
    ssh_host   = optional(string)
    generation = optional(number, 1)
  }))
}

variable "nodes" {
  description = "GPU nodes by name."
  type = map(object({
    address    = string
    ssh_host   = optional(string)
    zone       = optional(string)
    generation = optional(number, 1)
  }))
}

variable "site" {
  description = "Site of all machines, which is Nomad's datacenter and Consul's."
  type        = string
  default     = "dc1"
}

variable "operators" {
  description = "Address ranges from which people administer machines, the one of this machine among them."
  type        = list(string)
}

variable "users" {
  description = "Address ranges from which browsers reach the console."
  type        = list(string)
  default     = []
}

variable "firewall" {
  description = "True to have nftables let in only what is needed; false where a firewall is around the machines."
  type        = bool
  default     = true
}

variable "ssh" {
  description = "How Terraform reaches the machines: OpenSSH's client with its configuration, agent and known hosts."
  type = object({
    user    = optional(string, "root")
    port    = optional(number, 22)
    options = optional(list(string), [])
  })
  default = {}
}

variable "repositories" {
  description = "Package repositories beside the distribution's that have what packages names."
  type = list(object({
    name       = string
    uri        = string
    suite      = string
    components = optional(list(string), ["main"])
    key        = string
  }))
}

variable "packages" {
  description = "Packages with =version to pin them; empty for what the machines have already."
  type = object({
    nomad  = string
    consul = string
    vault  = string
    gpu    = list(string)
    docker = optional(list(string), ["docker.io"])
  })
}

variable "vault" {
  description = "vault or openbao, and the seal block with which it unseals itself."
  type = object({
    product = optional(string, "vault")
    seal    = optional(string, "")
  })
  default = {}
}

variable "storage" {
  description = "Host volume that workers share, and where the nodes have it mounted."
  type = object({
    volume = optional(string, "cotrain")
    path   = optional(string, "/srv/cotrain")
  })
  default = {}
}

variable "raw_exec" {
  description = "True where workers run as processes of the node, without a container."
  type        = bool
  default     = false
}
