variable "name" {
  description = "Name of the machine, in Nomad and Consul too. Empty for one script that any number of machines of a cloud run: they have their host names."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$", var.name))
    error_message = "A name has at most 63 lower case letters, digits and hyphens, as host names do."
  }
}

variable "cluster" {
  description = "Name of the cluster, in its authority's certificate."
  type        = string
  default     = "cotrain"

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9 ._-]*$", var.cluster))
    error_message = "The cluster's name has letters, digits, spaces, dots, hyphens and underscores."
  }
}

variable "region" {
  description = "Nomad's region, in the names of certificates."
  type        = string
  default     = "global"
}

variable "address" {
  description = "IP address at which other machines reach this one; empty for what it finds."
  type        = string
  default     = ""
}

variable "first" {
  description = "True for the one server that makes the keys of a new cluster."
  type        = bool
  default     = false
}

variable "parts" {
  description = "What the machine is: outputs server or client of the modules consul and vault, part of network, and what nomad-servers and gpu-clients add. Files are world-readable; settings are variables of cotrain-cluster."
  type = list(object({
    roles    = optional(list(string), [])
    packages = optional(list(string), [])
    files    = optional(map(string), {})
    settings = optional(map(string), {})
  }))

  validation {
    condition     = alltrue([for path in flatten([for part in var.parts : keys(part.files)]) : can(regex("^/[A-Za-z0-9._/-]+$", path))])
    error_message = "Files have absolute paths of letters, digits, dots, hyphens and underscores."
  }

  validation {
    condition     = alltrue([for setting in flatten([for part in var.parts : keys(part.settings)]) : can(regex("^[A-Z_]+$", setting))])
    error_message = "Settings are names of shell variables in capitals."
  }
}

variable "repositories" {
  description = "Package repositories beside the distribution's, which have Nomad, Consul, Vault, NVIDIA's driver and plugin unless the image does. key is the armoured public key that signs them."
  type = list(object({
    name       = string
    uri        = string
    suite      = string
    components = optional(list(string), ["main"])
    key        = string
  }))
  default = []

  validation {
    condition     = alltrue([for r in var.repositories : can(regex("^[a-z0-9-]+$", r.name)) && startswith(r.key, "-----BEGIN PGP PUBLIC KEY BLOCK-----")])
    error_message = "A repository has a name of lower case letters, digits and hyphens, and an armoured public key."
  }
}

variable "packages" {
  description = "More packages, such as the client of a cloud's secret store."
  type        = list(string)
  default     = []
}

variable "keys" {
  description = "Shell commands that run on the machine, for machines that have an identity in a cloud: get prints the keys from a secret store, or the word empty where Terraform has just made it; put stores what it reads. Without them keys come by ssh."
  type = object({
    get = optional(string, "")
    put = optional(string, "")
  })
  default = {}
}

variable "ssh" {
  description = "How Terraform reaches the machine with OpenSSH's client, whose configuration, agent and known hosts count; null if the machine runs the script by itself. host defaults to address. peers are the servers as user@host."
  type = object({
    host    = optional(string)
    user    = optional(string, "root")
    port    = optional(number, 22)
    options = optional(list(string), [])
    peers   = optional(list(string), [])
  })
  default = null

  validation {
    condition     = var.ssh == null || var.address != "" || try(var.ssh.host, null) != null
    error_message = "A machine that is reached by ssh has an address or ssh.host."
  }
}

variable "generation" {
  description = "Raise it when the machine was installed anew or another took its place."
  type        = number
  default     = 1
}
