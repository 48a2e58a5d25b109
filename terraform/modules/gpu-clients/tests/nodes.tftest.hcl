variables {
  cluster      = { servers = ["10.0.0.1"] }
  site         = "north"
  package      = "nomad=1.11.3-1"
  gpu_packages = ["nomad-device-nvidia=1.1.0-1"]
}

run "nodes_of_a_cloud_share_a_script" {
  command = plan

  variables {
    keys_get     = "store get"
    interruption = { command = "soon", drained = "gone" }
    drain        = { deadline = 5, save = 90 }
  }

  assert {
    condition     = strcontains(output.script, "INTERRUPTED='soon'") && strcontains(output.script, "SAVE_SECONDS='90'") && strcontains(output.script, "TimeoutStopSec=155") && strcontains(output.script, "deadline = \"5s\"")
    error_message = "A node has its time to save."
  }

  assert {
    condition     = strcontains(output.script, "datacenter = \"north\"") && strcontains(output.script, "{{ GetPrivateIP }}") && length(output.scripts) == 0
    error_message = "A node without a name finds its address itself."
  }

  assert {
    condition     = strcontains(output.script, "PACKAGES='ca-certificates openssl procps nomad=1.11.3-1 docker.io nomad-device-nvidia=1.1.0-1'")
    error_message = "Packages are pinned as they were given."
  }
}

run "named_machines_need_ssh" {
  command = plan

  variables {
    machines = { gpu-1 = { address = "10.0.0.9" } }
  }

  expect_failures = [var.ssh]
}

run "no_end_is_no_drain" {
  command = plan

  variables {
    drain = { deadline = 0 }
  }

  expect_failures = [var.drain]
}
