variable "namespace" {
  description = "Namespace of runs whose project has none of its own."
  type        = string
  default     = "training"
}

variable "project_namespaces" {
  description = "Namespaces of projects that have their own: description by name."
  type        = map(string)
  default     = {}
}

variable "node_pool" {
  description = "Node pool to make for GPU nodes; empty for one that is there."
  type        = string
  default     = ""
}

variable "storage_volume" {
  description = "Host volume of shared storage; empty without."
  type        = string
  default     = ""
}

variable "secrets" {
  description = "Secrets of runs: items by name, such as { hf = { HF_TOKEN = \"...\" } }, from TF_VAR_secrets rather than a file. Only where runs have no Vault."
  type        = map(map(string))
  default     = {}
  ephemeral   = true
}

variable "secret_versions" {
  description = "The names of secrets, each with a number to raise when its items change."
  type        = map(number)
  default     = {}
}

variable "console" {
  description = "The console as a job of the cluster: where browsers find it, its image or program, and more of its settings. null if it runs elsewhere."
  type = object({
    public_url    = string
    driver        = optional(string, "docker")
    image         = optional(string, "")
    command       = optional(string, "/usr/local/bin/cotrain")
    user          = optional(string, "nobody")
    port          = optional(number, 8080)
    data_volume   = optional(string, "cotrain-data")
    environment   = optional(map(string), {})
    vault_address = optional(string, "")
  })
  default = null
}
