package command

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
	"github.com/ringd/ringd/cmd/ringctl/internal/printing"
)

func (a *app) settings() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "settings",
		Short: "Show and change what binds all members",
		Long: `settings lists the settings that all members agree on: limits of what clients may
store, and how hard members work on repair. Those that were changed are marked.

Sizes are bytes, with or without a unit (65536, 512MiB, 8GB), times are numbers
with units (250ms, 10s, 1m30s).`,
		Example: `  ringctl settings
  ringctl settings set anti_entropy_every 10m
  ringctl settings set hint_bytes_max 1GiB transfer_rate 16MiB
  ringctl settings reset transfer_rate`,
		Args:              noSubcommand,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.admin(cmd, func(ctx context.Context, admin ringdv1.AdminClient) error {
				r, err := admin.GetSettings(ctx, &ringdv1.GetSettingsRequest{})
				if err != nil {
					return err
				}
				if a.json() {
					return printing.Proto(a.Out, r)
				}
				a.printSettings(r.GetSettings(), nil)
				return nil
			})
		},
	}
	cmd.AddCommand(a.settingsSet(), a.settingsReset())
	return cmd
}

func (a *app) settingsSet() *cobra.Command {
	return &cobra.Command{
		Use:   "set NAME VALUE [NAME VALUE]...",
		Short: "Change settings",
		Long: `set changes settings for all members, at once and until they are changed again. If
one of the values is not valid, none is changed.`,
		Example: `  ringctl settings set anti_entropy_every 10m
  ringctl settings set hint_bytes_max 1GiB transfer_rate 16MiB`,
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: a.completeSettings(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			request := &ringdv1.UpdateSettingsRequest{Values: make(map[string]string)}
			var names []string
			for len(args) > 0 {
				if len(args) == 1 {
					return exit.Usagef("%s has no value: give NAME VALUE, once or several times", args[0])
				}
				if _, twice := request.Values[args[0]]; twice {
					return exit.Usagef("%s is given twice", args[0])
				}
				request.Values[args[0]] = args[1]
				names, args = append(names, args[0]), args[2:]
			}
			return a.updateSettings(cmd, request, names)
		},
	}
}

func (a *app) settingsReset() *cobra.Command {
	return &cobra.Command{
		Use:               "reset NAME...",
		Short:             "Set settings back to their defaults",
		Long:              `reset sets settings back to their defaults, for all members and at once.`,
		Example:           `  ringctl settings reset hint_bytes_max transfer_rate`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completeSettings(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.updateSettings(cmd, &ringdv1.UpdateSettingsRequest{ToDefault: args}, args)
		},
	}
}

func (a *app) updateSettings(cmd *cobra.Command, request *ringdv1.UpdateSettingsRequest, names []string) error {
	return a.admin(cmd, func(ctx context.Context, admin ringdv1.AdminClient) error {
		r, err := admin.UpdateSettings(ctx, request)
		if err != nil {
			return err
		}
		if a.json() {
			return printing.Proto(a.Out, r)
		}
		a.printSettings(r.GetSettings(), names)
		return nil
	})
}

// printSettings writes those that names has; all if it is nil.
func (a *app) printSettings(all []*ringdv1.Setting, names []string) {
	wanted := make(map[string]bool)
	for _, n := range names {
		wanted[n] = true
	}
	var rows [][]string
	for _, s := range all {
		if names != nil && !wanted[s.GetName()] {
			continue
		}
		changed := ""
		if s.GetValue() != s.GetDefaultValue() {
			changed = "yes"
		}
		rows = append(rows, []string{s.GetName(), s.GetValue(), s.GetDefaultValue(), changed, s.GetHelp()})
	}
	printing.Table(a.Out, []string{"name", "value>", "default>", "changed", "what"}, rows)
}

// completeSettings completes every nth argument, a setting's name.
func (a *app) completeSettings(nth int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args)%nth != 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		a.timeout = min(a.timeout, completeTimeout)
		var names []string
		err := a.admin(cmd, func(ctx context.Context, admin ringdv1.AdminClient) error {
			r, err := admin.GetSettings(ctx, &ringdv1.GetSettingsRequest{})
			for _, s := range r.GetSettings() {
				if strings.HasPrefix(s.GetName(), prefix) {
					names = append(names, s.GetName()+"\t"+s.GetHelp())
				}
			}
			return err
		})
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
