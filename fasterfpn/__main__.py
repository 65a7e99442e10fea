"""`fasterfpn COMMAND ...`, which is the same as `python -m fasterfpn.COMMAND ...`. Only that command is imported."""

import difflib
import runpy
import sys

COMMANDS = {
    "train": "train a detector, evaluate it on the test part and write a report",
    "evaluate": "print the average precision of a trained detector",
    "predict": "detect defects in images: pictures with boxes, and JSON",
    "saliency": "show which pixels of an image a detector's scores depend on",
    "synthesize": "write artificial images with annotations",
    "reproduce": "repeat the experiment of the paper, with both networks",
    "exercise": "write the parts of the detector yourself, graded by its laws",
    "doctor": "show what is installed, and what to do about what is missing",
}


def main() -> None:
    """Run the command that the command line names; 0 and the list of commands for --help, 2 for an unknown one."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("-h", "--help"):
        print("usage: fasterfpn COMMAND ...\n")
        print("\n".join(f"  {command:<12}{summary}" for command, summary in COMMANDS.items()))
        print("\n`fasterfpn COMMAND --help` lists a command's options.")
    elif name in COMMANDS:
        del sys.argv[0]
        runpy.run_module(f"fasterfpn.{name}", run_name="__main__", alter_sys=False)
    else:
        near = difflib.get_close_matches(name, COMMANDS, n=3) or COMMANDS
        print(f"fasterfpn: there is no command {name!r}; did you mean {' or '.join(near)}?", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
