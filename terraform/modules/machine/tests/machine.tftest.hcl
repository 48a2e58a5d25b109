variables {
  name  = "m-1"
  parts = [{ roles = ["consul-client"], packages = ["consul"], files = { "/etc/consul.d/consul.hcl" = "a = 1\n" } }]
}

run "a_script_puts_files_and_settings_in_place" {
  command = plan

  assert {
    condition     = strcontains(output.script, "put '/etc/consul.d/consul.hcl' 0644 <<'END OF FILE'\na = 1\nEND OF FILE\n") && strcontains(output.script, "ROLES='consul-client'\n")
    error_message = "A file or a setting is missing."
  }

  assert {
    condition     = output.ready == null
    error_message = "Without ssh Terraform waits for nobody."
  }
}

run "a_repository_has_its_key_with_it" {
  command = plan

  variables {
    repositories = [{ name = "cluster", uri = "https://packages.example/apt", suite = "stable", key = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabc\n-----END PGP PUBLIC KEY BLOCK-----\n" }]
  }

  assert {
    condition     = strcontains(output.script, "Suites: stable\nComponents: main\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n -----END PGP PUBLIC KEY BLOCK-----\n")
    error_message = "The key is part of the source, an empty line in it a dot."
  }
}

run "a_repository_without_a_key_is_refused" {
  command = plan

  variables {
    repositories = [{ name = "cluster", uri = "https://packages.example/apt", suite = "stable", key = "" }]
  }

  expect_failures = [var.repositories]
}

run "a_path_cannot_leave_its_quotes" {
  command = plan

  variables {
    parts = [{ files = { "/etc/x'; reboot; '" = "" } }]
  }

  expect_failures = [var.parts]
}

run "a_name_is_a_host_name" {
  command = plan

  variables {
    name = "M_1"
  }

  expect_failures = [var.name]
}
