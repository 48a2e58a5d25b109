variable "nomad_addr" {
  description = "Nomad's API as Vault reaches it, https://nomad.example:4646."
  type        = string

  validation {
    condition     = can(regex("^https://[^/]+$", var.nomad_addr))
    error_message = "It is https://HOST:PORT."
  }
}

variable "nomad_ca_file" {
  description = "File with the authority of its certificate; empty for what Vault's machine trusts."
  type        = string
  default     = ""
}

variable "namespaces" {
  description = "Namespaces of runs: output namespaces of the root existing-cluster."
  type        = list(string)
  default     = ["training"]
}

variable "create_kv" {
  description = "True to make the KV engine secret/; false where it is there."
  type        = bool
  default     = false
}

variable "nomad_engine" {
  description = "True to have Vault make the console's tokens of Nomad; false where the console is a job, or with OpenBao."
  type        = bool
  default     = false
}

variable "nomad_token" {
  description = "Management token of Nomad for that engine, from TF_VAR_nomad_token."
  type        = string
  default     = null
  ephemeral   = true
  sensitive   = true
}

variable "database" {
  description = "PostgreSQL in which Vault makes users for the console: see module cotrain-vault. null without."
  type = object({
    url      = string
    username = string
    owner    = optional(string, "console")
  })
  default = null
}

variable "database_password" {
  description = "Password of Vault's user there, from TF_VAR_database_password."
  type        = string
  default     = null
  ephemeral   = true
  sensitive   = true
}
