package cli

import (
	"github.com/alecthomas/kong"

	"github.com/cotrain/cotrain/internal/config"
)

// commands is the grammar of the command line.
type commands struct {
	Server   serverCmd   `cmd:"" help:"Start the console."`
	Agent    agentCmd    `cmd:"" help:"Start the embedded agent alone, for NOMAD_ADDR to point at."`
	Run      runCmd      `cmd:"" help:"Submit, watch and stop runs."`
	Sweep    sweepCmd    `cmd:"" help:"Submit and compare groups of runs."`
	Template templateCmd `cmd:"" help:"Keep configurations to start from."`
	Config   configCmd   `cmd:"" help:"Check and convert configurations, without a console."`
	Parse    parseCmd    `cmd:"" help:"Print the metrics and events in a trainer's log; needs no console."`
	Diagnose diagnoseCmd `cmd:"" help:"Say why a process failed, from its log; needs no console."`
	Cause    causeCmd    `cmd:"" help:"Add rules that explain failures, and try them on past ones."`
	Explain  explainCmd  `cmd:"" help:"Say what a code of an error or of a cause means; needs no console."`
	Compare  compareCmd  `cmd:"" help:"Compare what runs reached, and in which settings they differ."`
	Diff     diffCmd     `cmd:"" help:"Show how two runs, templates or presets differ."`
	Storage  storageCmd  `cmd:"" help:"Browse the folder that all workers share."`
	Store    storeCmd    `cmd:"" help:"Move and check a console's own data."`
	Logs     logsCmd     `cmd:"" help:"Verify and move the archive of logs."`
	Audit    auditCmd    `cmd:"" help:"Search, export and verify the audit log."`
	Node     nodeCmd     `cmd:"" help:"List the nodes of the cluster."`
	Cluster  clusterCmd  `cmd:"" help:"Set up a cluster for the console, check it, and measure it."`
	User     userCmd     `cmd:"" help:"Manage users and service accounts."`
	Project  projectCmd  `cmd:"" help:"Manage projects and who is in them."`
	Secret   secretCmd   `cmd:"" help:"Manage the secrets that runs may ask for."`
	Token    tokenCmd    `cmd:"" help:"Make, list and revoke API tokens."`
	Login    loginCmd    `cmd:"" help:"Sign the command line in, in a browser."`
	Logout   logoutCmd   `cmd:"" help:"Sign the command line out, and revoke its token."`
	Whoami   whoamiCmd   `cmd:"" help:"Say who the console takes you for."`
	Trainer  trainerCmd  `cmd:"" passthrough:"" help:"Train as CotrainCore's configuration says, on the CPU: cotrain trainer @config.toml."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
}

type runCmd struct {
	Submit    runSubmitCmd    `cmd:"" help:"Submit a run."`
	Clone     runCloneCmd     `cmd:"" help:"Submit the same run again, with changes."`
	List      runListCmd      `cmd:"" help:"List runs, newest first or in another order."`
	Show      runShowCmd      `cmd:"" help:"Show one run with its workers."`
	Logs      runLogsCmd      `cmd:"" help:"Print a run's log."`
	Events    runEventsCmd    `cmd:"" help:"Print what happened to a run."`
	Metrics   runMetricsCmd   `cmd:"" help:"Print a run's metrics."`
	Top       runTopCmd       `cmd:"" help:"Print what a run's workers and their GPUs use now."`
	Mesh      runMeshCmd      `cmd:"" help:"Show a run's outer steps: who waited for whom, and what that cost."`
	Launch    runLaunchCmd    `cmd:"" help:"Show exactly what starts a run's workers."`
	Reproduce runReproduceCmd `cmd:"" help:"Print the command that makes the same run."`
	Stop      runStopCmd      `cmd:"" help:"Stop a run."`
	Pause     runPauseCmd     `cmd:"" help:"Stop a run's workers until it is resumed; it keeps its place in the queue."`
	Resume    runResumeCmd    `cmd:"" help:"Let a paused run take its turn again, or withdraw a pause."`
	Restart   runRestartCmd   `cmd:"" help:"Stop a run's workers, and have another attempt follow."`
	Retry     runRetryCmd     `cmd:"" help:"Make another attempt of a failed or stopped run, or end its wait for one."`

	StopRetrying runStopRetryingCmd `cmd:"" help:"End a run that waits to be tried again as failed, or have no attempt follow the one under way."`

	Tag     runTagCmd     `cmd:"" help:"Add tags to runs, or remove them."`
	Note    runNoteCmd    `cmd:"" help:"Write a note on a run."`
	Archive runArchiveCmd `cmd:"" help:"Leave ended runs out of lists, or bring them back."`
	Delete  runDeleteCmd  `cmd:"" help:"Delete a run that has ended, with its metrics, events and logs."`
}

type tokenCmd struct {
	Create tokenCreateCmd `cmd:"" help:"Make an API token and print it; it is not shown again."`
	List   tokenListCmd   `cmd:"" help:"List API tokens, newest first."`
	Revoke tokenRevokeCmd `cmd:"" help:"Revoke an API token for good."`
}

type userCmd struct {
	List   userListCmd   `cmd:"" help:"List users and service accounts by name."`
	Create userCreateCmd `cmd:"" help:"Make a person, whose password is printed once, or a service account."`
	Change userChangeCmd `cmd:"" help:"Change a user."`
	Show   userShowCmd   `cmd:"" help:"Show a user, and who it is at the log-in provider."`
	Delete userDeleteCmd `cmd:"" help:"Delete a user; its runs stay."`

	Disable userDisableCmd `cmd:"" help:"Keep a user out: sessions end, and tokens do not count."`
	Enable  userEnableCmd  `cmd:"" help:"Let a disabled user in again."`

	ResetPassword      userResetPasswordCmd      `cmd:"" help:"Give a person a one-time password, printed once; with --offline without a console."`
	SignOut            userSignOutCmd            `cmd:"" help:"End all sessions of a user; API tokens stay valid."`
	RemoveSecondFactor userRemoveSecondFactorCmd `cmd:"" help:"Remove the second factor of a user who has lost it."`
	Link               userLinkCmd               `cmd:"" help:"Let somebody at the log-in provider sign in as a user."`
	Unlink             userUnlinkCmd             `cmd:"" help:"Take such a link back, and end the sessions that began so."`
}

type projectCmd struct {
	List    projectListCmd    `cmd:"" help:"List the projects that you may see."`
	Create  projectCreateCmd  `cmd:"" help:"Make a project."`
	Show    projectShowCmd    `cmd:"" help:"Show a project and its settings."`
	Change  projectChangeCmd  `cmd:"" help:"Change a project's description or settings."`
	Delete  projectDeleteCmd  `cmd:"" help:"Delete a project that owns nothing."`
	Members projectMembersCmd `cmd:"" help:"List the members of a project."`
	Grant   projectGrantCmd   `cmd:"" help:"Give a user a role in a project."`
	Remove  projectRemoveCmd  `cmd:"" help:"Remove a user from a project."`
}

type secretCmd struct {
	List     secretListCmd     `cmd:"" help:"List the secrets that you may use, never their values."`
	Register secretRegisterCmd `cmd:"" help:"Register a secret that runs may ask for, or with --change all of it anew."`
	Set      secretSetCmd      `cmd:"" help:"Store the value of a secret in its Nomad variable, and nowhere else."`
	Remove   secretRemoveCmd   `cmd:"" help:"Remove a secret; its value stays where it is."`
}

type nodeCmd struct {
	List nodeListCmd `cmd:"" help:"List nodes."`
}

type clusterCmd struct {
	Setup   clusterSetupCmd   `cmd:"" help:"Set up policies, roles, namespaces and tokens in Nomad, Vault and Consul; again changes nothing."`
	Check   clusterCheckCmd   `cmd:"" help:"Check the console's rights by using them, and that nodes can run what jobs ask for."`
	Measure clusterMeasureCmd `cmd:"" help:"Measure nodes and the network between them, and say what is wrong."`
}

type sweepCmd struct {
	Submit sweepSubmitCmd `cmd:"" help:"Submit a group of runs that differ in a few fields."`
	List   sweepListCmd   `cmd:"" help:"List sweeps, newest first."`
	Show   sweepShowCmd   `cmd:"" help:"Show a sweep with its runs."`
	Stop   sweepStopCmd   `cmd:"" help:"Stop every run of a sweep."`
	Delete sweepDeleteCmd `cmd:"" help:"Delete a sweep whose runs have all ended, with them."`
}

type templateCmd struct {
	List     templateListCmd     `cmd:"" help:"List templates and presets by name."`
	Show     templateShowCmd     `cmd:"" help:"Show a template."`
	Versions templateVersionsCmd `cmd:"" help:"List the versions of a template, newest first."`
	Save     templateSaveCmd     `cmd:"" help:"Save the next version of a template."`
	Diff     templateDiffCmd     `cmd:"" help:"Show how a template differs from its version before, or from something else."`
	Export   templateExportCmd   `cmd:"" help:"Print a template as a file."`
	Import   templateImportCmd   `cmd:"" help:"Save a template from a file."`
	Delete   templateDeleteCmd   `cmd:"" help:"Delete a template with all its versions."`
}

type configCmd struct {
	Validate  configValidateCmd  `cmd:"" help:"Check a configuration; needs no console."`
	Estimate  configEstimateCmd  `cmd:"" help:"Say what a configuration will do and need; needs no console."`
	Import    configImportCmd    `cmd:"" help:"Make clean TOML of a file with shell lines among it, without its secrets; needs no console."`
	Schema    configSchemaCmd    `cmd:"" help:"Print the JSON Schema of the configuration, for editors."`
	Reference configReferenceCmd `cmd:"" help:"Print every field with its type, default and rule, as Markdown."`
}

type storageCmd struct {
	List   storageListCmd   `cmd:"" help:"List a folder of shared storage."`
	Get    storageGetCmd    `cmd:"" help:"Download a file of shared storage."`
	Delete storageDeleteCmd `cmd:"" help:"Delete a file or folder of shared storage, with all that is in it."`
	Layout storageLayoutCmd `cmd:"" help:"Show the layout of shared storage and what is wrong with it."`
}

type auditCmd struct {
	List   auditListCmd   `cmd:"" help:"List who did what, newest first."`
	Export auditExportCmd `cmd:"" help:"Write entries as JSON lines or CSV, oldest first."`
	Verify auditVerifyCmd `cmd:"" help:"Verify that no entry was changed, removed or inserted, in a file without a console."`
}

type storeCmd struct {
	Copy  storeCopyCmd  `cmd:"" help:"Copy a stopped console's data between SQLite and PostgreSQL, either way."`
	Check storeCheckCmd `cmd:"" help:"Compare what the database derives with its sources, also while the console runs."`
}

type logsCmd struct {
	Verify  logsVerifyCmd  `cmd:"" help:"Read every block of the archive of logs and report what is missing, damaged or stray, also while the console runs."`
	Migrate logsMigrateCmd `cmd:"" help:"Copy the archive of logs between the data folder and the S3 store, and verify the copy."`
}

const description = `Console for distributed training with CotrainCore on Nomad.

COTRAIN_ADDR names the console that the commands talk to (http://127.0.0.1:8080), COTRAIN_PROJECT the project.
COTRAIN_TOKEN is the API token that they show it, or COTRAIN_TOKEN_FILE the file that holds it; else that of "cotrain login".
Exit codes: 0 done, 1 failed, 2 bad usage, 3 not found, 4 refused.`

func newCommands() *commands {
	c := &commands{}
	c.Server.Plugins = kong.Plugins{newFlags(config.Settings())}
	c.Store.Copy.Plugins = kong.Plugins{newFlags(storeSettings())}
	c.Store.Check.Plugins = kong.Plugins{newFlags(storeSettings())}
	c.Logs.Verify.Plugins = kong.Plugins{newFlags(storeSettings())}
	c.Logs.Migrate.Plugins = kong.Plugins{newFlags(storeSettings())}
	c.Cluster.Setup.Plugins = kong.Plugins{newFlags(clusterSettings())}
	c.Cluster.Check.Plugins = kong.Plugins{newFlags(clusterSettings())}
	c.User.ResetPassword.Plugins = kong.Plugins{newFlags(storeSettings())}
	return c
}
