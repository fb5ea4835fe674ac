"""Lists of files, one path per line."""

import os

import pytest

from mlrfnet_mm.xrays.files import list_files, read_list


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'deep').mkdir()
    for name in ('a b.png', 'ä.png', 'deep/y.png', 'deep/x.dcm', 'deep/readme', '#c.png'):
        (tmp_path / name).touch()
    return tmp_path


def test_a_list_is_as_its_lines_on_the_command_line(folder):
    lines = ['ä.png', str(folder / 'a b.png'), 'deep', '#c.png', 'ä.png']
    (folder / 'list.txt').write_text('\n'.join([lines[0], '', *lines[1:], '  ', '']))
    files, passed_over = list_files(['list.txt'])
    assert (files, passed_over) == list_files(lines) and passed_over == 1
    names = [path.as_posix() for path in files]
    assert names == ['ä.png', str(folder / 'a b.png'), 'deep/x.dcm', 'deep/y.png', '#c.png']
    both, _ = list_files(['deep/y.png', 'list.txt'])
    assert both[0] == files[3] and set(both) == set(files)


def test_lines_of_windows_and_names_that_are_not_utf8(folder):
    odd = os.fsencode(folder) + b'/\xff.png'
    open(odd, 'w').close()
    (folder / 'list.TXT').write_bytes(odd + b'\r\na b.png\r\n')
    assert [os.fsencode(path) for path in list_files(['list.TXT'])[0]] == [odd, b'a b.png']


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('nowhere.png', r'list\.txt, line 3: no file or folder /.*/nowhere\.png'),
        ('a b.png ', r'line 3: no file or folder .*a b\.png $'),  # a name may end in a space
        ('other.txt', r'line 3: a list in a list, other\.txt; give both'),
        ('a\0b', r'line 3: not a path \(it holds a zero byte\)'),
        ('x' * 300, r'line 3: not a path \(.*too long.*a text file with one path per line'),
    ],
)
def test_a_wrong_line_is_named(folder, line, message):
    (folder / 'other.txt').touch()
    (folder / 'list.txt').write_text(f'ä.png\n\n{line}\n')
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read_list(folder / 'list.txt')


def test_a_folder_s_text_files_are_no_lists(folder):
    (folder / 'deep/list.txt').write_text('nowhere.png')
    assert list_files(['deep'])[1] == 2  # passed over, as readme
    (folder / 'empty.txt').touch()
    assert list_files(['empty.txt']) == ([], 0)
    with pytest.raises(FileNotFoundError, match=r'no file or folder .*gone\.txt'):
        list_files(['gone.txt'])
