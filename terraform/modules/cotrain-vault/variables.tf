variable "jwks_url" {
  description = "Public keys of Nomad's workload identities, https://SERVER:4646/.well-known/jwks.json."
  type        = string

  validation {
    condition     = endswith(var.jwks_url, "/.well-known/jwks.json")
    error_message = "Nomad's keys are at https://SERVER:4646/.well-known/jwks.json."
  }
}

variable "jwks_ca" {
  description = "Authority of that server's certificate as PEM; empty for what Vault's machine trusts."
  type        = string
  default     = ""
}

variable "jwt_mount" {
  description = "Where Vault's JWT method for Nomad is."
  type        = string
  default     = "jwt-nomad"
}

variable "kv_mount" {
  description = "KV engine of version 2 with the console's secrets and those of runs."
  type        = string
  default     = "secret"
}

variable "create_kv" {
  description = "True to make that engine; false where it is there."
  type        = bool
  default     = false
}

variable "namespaces" {
  description = "Namespaces of runs: output namespaces of module cotrain."
  type        = list(string)
  default     = ["default"]

  validation {
    condition     = length(var.namespaces) > 0
    error_message = "Runs have a namespace at least."
  }
}

variable "console_namespace" {
  description = "Namespace of the console's job in Nomad."
  type        = string
  default     = "cotrain"
}

variable "nomad_engine" {
  description = "Engine that makes tokens of Nomad for a console that is no job: its mount, Nomad's address, and policies of the tokens. token is a management token of Nomad; raise token_version to send a new one. null without, as with OpenBao, which has no such engine."
  type = object({
    mount         = optional(string, "nomad")
    address       = string
    ca            = optional(string)
    policies      = optional(list(string), ["cotrain-console"])
    token_version = optional(number, 1)
  })
  default = null
}

variable "nomad_token" {
  description = "Management token of Nomad for that engine. Ephemeral: not in plans, not in state."
  type        = string
  default     = null
  ephemeral   = true
  sensitive   = true
}

variable "database" {
  description = "PostgreSQL for which Vault makes short-lived users for the console: url with {{username}} and {{password}}, and Vault's own user there. owner is a role without log-in that owns the tables, and that Vault's user may grant. null without."
  type = object({
    mount            = optional(string, "database")
    url              = string
    username         = string
    password_version = optional(number, 1)
    owner            = optional(string, "console")
    ttl              = optional(number, 3600)
  })
  default = null

  validation {
    condition     = var.database == null || try(strcontains(var.database.url, "{{username}}") && strcontains(var.database.url, "{{password}}"), false)
    error_message = "The URL has {{username}} and {{password}}, which Vault fills."
  }
}

variable "database_password" {
  description = "Password of Vault's user there. Ephemeral: not in plans, not in state."
  type        = string
  default     = null
  ephemeral   = true
  sensitive   = true
}
