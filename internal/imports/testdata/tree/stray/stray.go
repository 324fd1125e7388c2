package stray // want "in no row"

import "os"
