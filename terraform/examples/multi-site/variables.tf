variable "servers" {
  description = "Servers by name, all at the first site, at addresses that the other sites reach."
  type = map(object({
    address    = string
    ssh_host   = optional(string)
    generation = optional(number, 1)
  }))
}

variable "sites" {
  description = "Sites of GPU nodes by name: nodes, the ranges that others see them come from, and where the site's package mirror is."
  type = map(object({
    machines = map(object({
      address    = string
      ssh_host   = optional(string)
      zone       = optional(string)
      generation = optional(number, 1)
    }))
    ranges     = list(string)
    node_pool  = optional(string, "default")
    repository = optional(string)
  }))
}

variable "operators" {
  description = "Address ranges from which people administer machines."
  type        = list(string)
}

variable "ssh" {
  description = "How Terraform reaches all machines with OpenSSH's client."
  type = object({
    user    = optional(string, "root")
    port    = optional(number, 22)
    options = optional(list(string), [])
  })
  default = {}
}

variable "repository" {
  description = "Package repository beside the distribution's; a site may name a mirror of it."
  type = object({
    uri        = string
    suite      = string
    components = optional(list(string), ["main"])
    key        = string
  })
}

variable "packages" {
  description = "Packages with =version to pin them; empty for what the machines have already."
  type = object({
    nomad = string
    gpu   = list(string)
  })
}
