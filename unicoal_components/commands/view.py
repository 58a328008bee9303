"""`unicoal view`: a result beside its input, in a browser."""

from ..command_line import Switch


def view(
    result: str,
    /,
    *,
    input: str | None = None,
    save: str | None = None,
    port: int | None = None,
    browser: Switch = True,
) -> None:
    """Show a result beside its input in linked slices, in a browser on this machine until Ctrl-C.

    One result, or several to choose from:

        unicoal view unicoal_output/thick_t1_t1.nii.gz
        unicoal view unicoal_output

    Or write a page that opens without a network:

        unicoal view unicoal_output/thick_t1_t1.nii.gz --save page.html

    Args:
        result: output of `unicoal thin` or `unicoal synthesize`, its JSON record, or a folder of outputs.
        input: scan to show beside one result; by default the one that its record names.
        save: page to write, `.html`; without it a server on 127.0.0.1 shows the page.
        port: TCP port of the server; by default a free one.
        browser: open the page in the browser.
    """
    from ..viewer.view import view as show

    show(result, input=input, save=save, port=port, open_browser=browser)
