package main

import (
	"github.com/spf13/cobra"

	"github.com/ringd/ringd/internal/member"
)
