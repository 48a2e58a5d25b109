variable "namespace" {
  description = "Namespace of runs whose project has none of its own; the console's setting nomad.namespace."
  type        = string
  default     = "default"

  validation {
    condition     = can(regex("^[a-zA-Z0-9-]{1,128}$", var.namespace))
    error_message = "A namespace has letters, digits and hyphens."
  }
}

variable "project_namespaces" {
  description = "Namespaces of projects that have their own: description by name. They are made here."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.project_namespaces) : can(regex("^[a-zA-Z0-9-]{1,128}$", name))])
    error_message = "A namespace has letters, digits and hyphens."
  }
}

variable "node_pool" {
  description = "Node pool to make for GPU nodes; empty for one that is there, such as default."
  type        = string
  default     = ""

  validation {
    condition     = !contains(["default", "all"], var.node_pool)
    error_message = "The pools default and all are always there."
  }
}

variable "storage_volume" {
  description = "Host volume of shared storage, the console's setting storage.volume; empty without."
  type        = string
  default     = ""
}

variable "secrets" {
  description = "Secrets of runs, for clusters without Vault: items by name, kept as the variable cotrain/NAME of the namespace. Ephemeral: not in plans, not in state."
  type        = map(map(string))
  default     = {}
  ephemeral   = true
}

variable "secret_versions" {
  description = "The names of secrets, each with a number to raise when its items change: what Terraform remembers instead of them."
  type        = map(number)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.secret_versions) : can(regex("^[a-zA-Z0-9_-]{1,64}$", name))])
    error_message = "A secret's name has letters, digits, hyphens and underscores."
  }
}

variable "console" {
  description = "The console as a job of Nomad, which nomad/cotrain.nomad.hcl explains; null if it runs elsewhere. environment is more of its settings, secrets as vault: references."
  type = object({
    namespace     = optional(string, "cotrain")
    public_url    = string
    driver        = optional(string, "docker")
    image         = optional(string, "")
    command       = optional(string, "/usr/local/bin/cotrain")
    user          = optional(string, "nobody")
    port          = optional(number, 8080)
    datacenters   = optional(list(string), ["*"])
    node_pool     = optional(string, "default")
    data_volume   = optional(string, "cotrain-data")
    environment   = optional(map(string), {})
    replicas      = optional(number, 1)
    vault_address = optional(string, "")
    consul        = optional(bool, false)
    service_tags  = optional(list(string), [])
    cpu           = optional(number, 500)
    memory        = optional(number, 512)
  })
  default = null

  validation {
    condition     = var.console == null || try(var.console.driver != "docker" || var.console.image != "", false)
    error_message = "With docker the console needs an image."
  }

  validation {
    condition     = var.console == null || try(var.console.namespace != var.namespace && !contains(keys(var.project_namespaces), var.console.namespace), false)
    error_message = "The console has a namespace of its own: who may submit jobs there has the console's rights."
  }

  validation {
    condition     = var.console == null || try(var.console.replicas == 1 || contains(keys(var.console.environment), "COTRAIN_DATABASE_URL"), false)
    error_message = "More than one console needs PostgreSQL: COTRAIN_DATABASE_URL in environment."
  }

  validation {
    condition     = var.console == null || try(length(setintersection(keys(var.console.environment), ["COTRAIN_PROXY_TRUSTED", "COTRAIN_TLS_CERT", "COTRAIN_INSECURE_HTTP"])) > 0, false)
    error_message = "The console does not serve plain HTTP: set COTRAIN_PROXY_TRUSTED in environment to the proxy that ends TLS, or COTRAIN_TLS_CERT and COTRAIN_TLS_KEY."
  }

  validation {
    condition = var.console == null || alltrue([
      for name, value in try(var.console.environment, {}) :
      !can(regex("(TOKEN|PASSWORD|SECRET|SECRET_KEY)$", name)) || startswith(value, "vault:")
    ])
    error_message = "Secrets do not belong into a job: give vault:MOUNT/PATH#FIELD."
  }
}
