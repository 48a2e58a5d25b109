variable "service" {
  description = "Name under which the console registers itself; its setting consul.service."
  type        = string
  default     = "cotrain"

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", var.service))
    error_message = "A service has lower case letters, digits and hyphens."
  }
}

variable "job" {
  description = "Where the console is a job of Nomad: its namespace, and the public keys of workload identities with the authority of their server, so that it logs in without a token. null if it has a token."
  type = object({
    namespace = optional(string, "cotrain")
    jwks_url  = string
    jwks_ca   = optional(string, "")
    method    = optional(string, "nomad-workloads")
  })
  default = null

  validation {
    condition     = var.job == null || try(endswith(var.job.jwks_url, "/.well-known/jwks.json"), false)
    error_message = "Nomad's keys are at https://SERVER:4646/.well-known/jwks.json."
  }
}
