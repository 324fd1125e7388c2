package command

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
)

func checkAddrs(addrs []string) error {
	if len(addrs) == 0 {
		return fmt.Errorf("--addr is empty: name at least one member, as HOST:PORT")
	}
	for _, addr := range addrs {
		if host, port, err := net.SplitHostPort(addr); err != nil || host == "" || port == "" {
			return fmt.Errorf("--addr %q: give HOST:PORT, such as %s", addr, defaultAddr)
		}
	}
	return nil
}

// connect dials the cluster; the caller closes the client.
func (a *app) connect(ctx context.Context) (*client.Client, error) {
	config := client.DefaultConfig()
	config.Timeout = a.timeout
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	c, err := client.DialConfig(ctx, config, a.addrs...)
	if err != nil {
		return nil, notReached(a.addrs, err)
	}
	return c, nil
}

// notReached says in few words why nobody could be reached.
func notReached(addrs []string, err error) error {
	c, ok := errors.AsType[*client.Error](err)
	if !ok || !errors.Is(err, client.ErrUnavailable) {
		return fmt.Errorf("connecting to %s: %w", strings.Join(addrs, ", "), err)
	}
	why := c.Message
	// What gRPC puts around the network's own words tells a user nothing.
	if _, plain, ok := strings.Cut(why, "Error while dialing: "); ok {
		why = strings.TrimSuffix(plain, `"`)
	}
	return exit.New(exit.Unavailable, "is it running, and is that its address (--addr or "+addrVariable+")?",
		"no member answers at %s (%s)", strings.Join(addrs, ", "), why)
}

// admin calls do with the Admin service and a context that ends with --timeout.
func (a *app) admin(cmd *cobra.Command, do func(context.Context, ringdv1.AdminClient) error) error {
	c, err := a.connect(cmd.Context())
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(cmd.Context(), a.timeout)
	defer cancel()
	return do(ctx, c.Admin())
}

// completeTimeout bounds what pressing Tab waits for.
const completeTimeout = 2 * time.Second

// completeBucketTypes asks the cluster for the names of its bucket types.
func (a *app) completeBucketTypes(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	a.timeout = min(a.timeout, completeTimeout)
	var names []string
	err := a.admin(cmd, func(ctx context.Context, admin ringdv1.AdminClient) error {
		all, err := admin.ListBucketTypes(ctx, &ringdv1.ListBucketTypesRequest{})
		for _, t := range all.GetBucketTypes() {
			if strings.HasPrefix(t.GetName(), prefix) {
				names = append(names, t.GetName())
			}
		}
		return err
	})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
