package task

import "testing"

func TestTasksInheritNoSecretsOfTheConsole(t *testing.T) {
	t.Parallel()
	for name, denied := range map[string]bool{
		"PGPASSWORD": true, "PGPASSFILE": true, "PGSSLPASSWORD": true, "PGSERVICEFILE": true, "NOMAD_TOKEN": true, "VAULT_TOKEN": true, "COTRAIN_DATABASE_URL": true,
		"COTRAIN_DATABASE_PASSWORD": true, "COTRAIN_TRAINER_PACE": false, "PATH": false, "CUDA_VISIBLE_DEVICES": false,
	} {
		if hostEnvDenied(name) != denied {
			t.Errorf("%s: denied is %v", name, !denied)
		}
	}
}
