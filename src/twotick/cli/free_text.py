"""Commands whose last arguments are free text, which may begin with a dash."""

import itertools
import re

import click

_LIKE_AN_OPTION = re.compile(r"--[a-z][a-z-]*(=.*)?", re.DOTALL)
"""What is taken for a misspelt option rather than for text."""


class TextCommand(click.Command):
    """A command with free text: what begins with a dash and is no option is text, such as `-5 degrees`.

    A word like `--form` is an error all the same, because it is probably a misspelt option.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments, after the texts are separated from the options."""
        takes_value = {
            name: not each.is_flag
            for each in self.get_params(ctx)
            if isinstance(each, click.Option)
            for name in each.opts
        }
        options: list[str] = []
        texts: list[str] = []
        left = iter(args)
        for word in left:
            name, is_, _ = word.partition("=")
            if word == "--":
                texts += left
            elif name in takes_value:
                options.append(word)
                if takes_value[name] and not is_:
                    options += itertools.islice(left, 1)
            else:
                (options if _LIKE_AN_OPTION.fullmatch(word) else texts).append(word)
        return super().parse_args(ctx, [*options, "--", *texts])
