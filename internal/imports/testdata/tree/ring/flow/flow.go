package flow

import . "time" // want "no dot import"

import "context" // want "deadlines and cancelling"

import (
	_ "C" // want "no C compiler"
)
