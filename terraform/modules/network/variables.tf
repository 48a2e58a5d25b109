variable "servers" {
  description = "Address ranges of the servers."
  type        = list(string)

  validation {
    condition     = length(var.servers) > 0 && alltrue([for range in var.servers : can(cidrhost(range, 0))])
    error_message = "Ranges are like 10.0.0.0/24; one machine is 10.0.0.1/32."
  }
}

variable "nodes" {
  description = "Address ranges of the nodes, those of further sites too."
  type        = list(string)

  validation {
    condition     = alltrue([for range in var.nodes : can(cidrhost(range, 0))])
    error_message = "Ranges are like 10.0.0.0/24; one machine is 10.0.0.1/32."
  }
}

variable "operators" {
  description = "Address ranges from which people administer machines, by ssh, Nomad's API and Vault's."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for range in var.operators : can(cidrhost(range, 0)) && !endswith(range, "/0")])
    error_message = "Ranges are like 10.0.0.0/24, and not the whole Internet."
  }
}

variable "users" {
  description = "Address ranges from which browsers reach the console, or its proxy does."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for range in var.users : can(cidrhost(range, 0))])
    error_message = "Ranges are like 10.0.0.0/24."
  }
}

variable "wan_servers" {
  description = "Address ranges of Consul's servers in other datacenters."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for range in var.wan_servers : can(cidrhost(range, 0))])
    error_message = "Ranges are like 10.0.0.0/24."
  }
}

variable "console_port" {
  description = "Port of the console on the node that has it."
  type        = number
  default     = 8080
}
