// Package jobfile reads job files as Nomad's agents do ([Parse]): HCL with variables, locals, functions and dynamic
// blocks; and says why a job cannot run here ([Check]), in Nomad's words.
//
// The only limit is on the size of a file: whoever may submit jobs may run commands anyway.
package jobfile
