// Command ringd runs one member of a ringd cluster, or, as "ringd dev", a whole
// one on this machine.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "ringd:", err)
		stop()
		os.Exit(1)
	}
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ringd",
		Short: "A member of a replicated key-value store",
		Long: `ringd runs one member of a cluster: it stores its share of the keys and takes
requests for all of them.

Every setting can be given as a flag, as an environment variable (RINGD_ and the
flag's name in capitals, with _ for -), or in a YAML file named by --config,
under the flag's name. A flag goes before the environment, that before the file.`,
		Example: `  # the first member of a cluster
  ringd --data-dir /var/lib/ringd --name a --listen 10.0.0.1:7600 --bootstrap --insecure

  # one more
  ringd --data-dir /var/lib/ringd --name b --listen 10.0.0.2:7600 --join 10.0.0.1:7600 --insecure

  # a stateless front: takes requests and keeps nothing
  ringd --data-dir /var/lib/ringd --name front --listen 10.0.0.9:7600 --role gateway --join 10.0.0.1:7600 --insecure

  # three members on this machine, to try things out
  ringd dev --nodes 3 --dir ./dev`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	defineFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		config, err := loadConfig(cmd.Flags())
		if err != nil {
			return err
		}
		return serve(cmd.Context(), config)
	}
	cmd.AddCommand(dev())
	return cmd
}
