# A namespace for runs, for nomad namespace apply.
#
# namespace    its name
# description  what it is for

name        = "${namespace}"
description = "${description}"
