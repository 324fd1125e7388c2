package command

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
	"github.com/ringd/ringd/cmd/ringctl/internal/lines"
	"github.com/ringd/ringd/cmd/ringctl/internal/printing"
)

// exitCodes and format are topics of "ringctl help", not commands to run.
func exitCodes() *cobra.Command {
	return &cobra.Command{Use: "exit-codes", Short: "What ringctl's exit codes mean", Long: exit.Help}
}

func format() *cobra.Command {
	return &cobra.Command{Use: "format", Short: "The format of import and export", Long: lines.Help}
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this ringctl",
		Long:  `version prints the version of this ringctl; "status" prints that of a member.`,
		Example: `  ringctl version
  ringctl version -o json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if a.json() {
				return printing.JSON(a.Out, struct {
					Version string `json:"version"`
				}{a.version})
			}
			_, err := fmt.Fprintln(a.Out, "ringctl", a.version)
			return err
		},
	}
}

// Version returns what the build says about itself: the module's version, with
// the revision if it was built from a work tree.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	version := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && version == "(devel)" {
			version = "devel " + s.Value
		}
	}
	return version
}

func completion() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print a script that completes ringctl's commands on Tab",
		Long: `completion prints a script for bash, zsh, fish or powershell, with which the shell
completes ringctl's commands, flags and bucket types on Tab. The names of bucket
types are asked of the cluster.`,
		Example: `  # bash, this session
  source <(ringctl completion bash)

  # zsh, for good
  ringctl completion zsh > "${fpath[1]}/_ringctl"

  # fish, for good
  ringctl completion fish > ~/.config/fish/completions/ringctl.fish`,
		Args:                  cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs:             shells,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			root, out := cmd.Root(), cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			case "fish":
				return root.GenFishCompletion(out, true)
			}
			return root.GenPowerShellCompletionWithDesc(out)
		},
	}
}
