package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/ringd/ringd/jepsen/internal/hosts"
	"github.com/ringd/ringd/jepsen/internal/nemesis"
	"github.com/ringd/ringd/jepsen/internal/workload"
)

func listCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "The workloads and the nemeses, and what each needs",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "WORKLOAD\tPROPERTY")
			for _, l := range workload.All() {
				fmt.Fprintf(w, "%s\t%s\n", l.Name(), l.Property())
			}
			fmt.Fprintln(w, "\t")
			fmt.Fprintln(w, "NEMESIS\tWHAT IT DOES\tNEEDS\tHERE")
			for _, n := range nemesis.All() {
				var needs []string
				for _, need := range n.Needs {
					needs = append(needs, string(need))
				}
				here := "yes"
				if missing := n.Missing(hosts.Available() != nil); missing != "" {
					here = "no: " + missing
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", n.Name, n.Does, strings.Join(needs, ", "), here)
			}
			return w.Flush()
		},
	}
}
